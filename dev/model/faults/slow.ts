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
    answer: async (writer) => {
      await writer.wait(FOR_EVER_MS);
      await writer.cut();
    },
  },
  {
    name: 'slow-first-token',
    parameter: { label: 'ms', kind: 'number', standard: FIRST_TOKEN_MS },
    description: 'Headers at once, the first token after that time (one minute), then answers.',
    answer: async (writer, { number }) => {
      openAnswer(writer);
      await writer.wait(number);
      await sendReply(writer);
    },
  },
  {
    name: 'stall',
    parameter: { label: 'tokens', kind: 'number', standard: '3' },
    description: 'That many tokens, then nothing for ten minutes, then a reset.',
    answer: async (writer, { number }) => {
      await sendBeginning(writer, number);
      await writer.wait(FOR_EVER_MS);
      await writer.cut();
    },
  },
  {
    name: 'trickle',
    description: 'A valid answer, one byte a second.',
    answer: async (writer) => {
      const reply = composeReply(writer.request);
      const answer = writer.request.stream
        ? streamEvents(writer, reply).join('')
        : JSON.stringify(completion(writer, reply));
      openAnswer(writer);
      for (const byte of Buffer.from(answer)) {
        await writer.write(Uint8Array.of(byte));
        await writer.wait(TRICKLE_MS);
      }
      writer.end();
    },
  },
];
