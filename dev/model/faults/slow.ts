import { composeReply } from '../compose-reply.ts';
import { completion, openAnswer, sendReply, streamEvents } from '../send-reply.ts';
import { sendBeginning } from './connections.ts';
import type { ScriptedModel } from './scripted-model.ts';

const FOR_EVER_MS = 600_000;
const FIRST_TOKEN_MS = '60000';
const TRICKLE_MS = 1000;

export const slowModels: readonly ScriptedModel[] = [
  {
    name: 'silent',
    description: 'Accepts the request and sends no header for ten minutes, then resets.',
    answer: async (exchange) => {
      await exchange.wait(FOR_EVER_MS);
      await exchange.cut();
    },
  },
  {
    name: 'slow-first-token',
    parameter: { label: 'ms', kind: 'number', standard: FIRST_TOKEN_MS },
    description: 'Headers at once, the first token after that time (one minute), then well.',
    answer: async (exchange, { number }) => {
      openAnswer(exchange);
      await exchange.wait(number);
      await sendReply(exchange);
    },
  },
  {
    name: 'stall',
    parameter: { label: 'tokens', kind: 'number', standard: '3' },
    description: 'That many tokens, then nothing for ten minutes, then a reset.',
    answer: async (exchange, { number }) => {
      await sendBeginning(exchange, number);
      await exchange.wait(FOR_EVER_MS);
      await exchange.cut();
    },
  },
  {
    name: 'trickle',
    description: 'A valid answer, one byte a second.',
    answer: async (exchange) => {
      const reply = composeReply(exchange.request);
      const answer = exchange.request.stream
        ? streamEvents(exchange, reply).join('')
        : JSON.stringify(completion(exchange, reply));
      openAnswer(exchange);
      for (const byte of Buffer.from(answer)) {
        await exchange.write(Uint8Array.of(byte));
        await exchange.wait(TRICKLE_MS);
      }
      exchange.end();
    },
  },
];
