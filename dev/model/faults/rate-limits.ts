import type { ScriptedResponse, ResponseWriter } from '../response-writer.ts';
import { errorBody } from '../api-error.ts';
import type { ChatRequest } from '../chat-request.ts';
import { sendReply } from '../send-reply.ts';
import { failThenReply, type ScriptedModel } from './scripted-model.ts';

const NONSENSE = ['-5', 'abc', '1e9', 'NaN', ['3', '5']] as const;

export const rateLimitModels: readonly ScriptedModel[] = [
  {
    name: '429-then-ok',
    parameter: { label: 'seconds', kind: 'number', standard: '2' },
    description: 'One 429 with that Retry-After, then answers.',
    answer: (writer, { text }) => limitOnce(writer, { 'retry-after': text }),
  },
  {
    name: '429-always',
    parameter: { label: 'seconds', kind: 'number', standard: '90' },
    description: 'Always 429 with that Retry-After.',
    answer: (writer, { text }) => limit(writer, { 'retry-after': text }),
  },
  {
    name: '429-date-past',
    description: 'One 429 with a Retry-After date in the past, then answers.',
    answer: (writer) => limitOnce(writer, { 'retry-after': 'Wed, 21 Oct 2015 07:28:00 GMT' }),
  },
  {
    name: '429-date-future',
    parameter: { label: 'seconds', kind: 'number', standard: '2' },
    description: 'One 429 with a Retry-After date that many seconds ahead, then answers.',
    answer: (writer, { number }) => limitOnce(writer, { 'retry-after': dateIn(number) }),
  },
  {
    name: '429-ms',
    parameter: { label: 'ms', kind: 'number', standard: '700' },
    description:
      'One 429 with retry-after-ms and a Retry-After of 30 s that it overrides, then answers.',
    answer: (writer, { text }) =>
      limitOnce(writer, { 'retry-after-ms': text, 'retry-after': '30' }),
  },
  {
    name: '429-x-ms',
    parameter: { label: 'ms', kind: 'number', standard: '700' },
    description: 'One 429 with x-ms-retry-after-ms and a Retry-After of 30 s, then answers.',
    answer: (writer, { text }) =>
      limitOnce(writer, { 'x-ms-retry-after-ms': text, 'retry-after': '30' }),
  },
  {
    name: '429-nonsense',
    description:
      'Every second call a 429 whose Retry-After is, in turn, -5, abc, 1e9, NaN and two headers.',
    answer: (writer) => {
      const turn = writer.turn();
      const value = NONSENSE[Math.floor(turn / 2) % NONSENSE.length] ?? 'abc';
      return turn % 2 === 0 ? limit(writer, { 'retry-after': value }) : sendReply(writer);
    },
  },
  {
    name: '429-retry-after',
    parameter: { label: 'text', kind: 'text' },
    description: 'One 429 with that text as Retry-After, then answers.',
    answer: (writer, { text }) => limitOnce(writer, { 'retry-after': headerText(text) }),
  },
  {
    name: '429-reset-tokens',
    parameter: { label: 'text', kind: 'text' },
    description:
      'One 429 with only x-ratelimit-reset-tokens, such as 7, 6m0s, 12ms or 0, then answers.',
    answer: (writer, { text }) =>
      limitOnce(writer, { 'x-ratelimit-reset-tokens': headerText(text) }),
  },
  {
    name: 'quota',
    description: 'Always 429 insufficient_quota: the account has no credit.',
    answer: (writer) =>
      writer.sendError(429, 'You exceeded your current quota', {
        type: 'insufficient_quota',
        code: 'insufficient_quota',
      }),
  },
];

function limitOnce(writer: ResponseWriter, headers: ScriptedResponse['headers']): Promise<void> {
  return failThenReply(writer, { times: 1, fail: () => limit(writer, headers) });
}

/** Headers of the 429 for a request over the limit; undefined for other requests. */
export type RateLimit = (request: ChatRequest) => ScriptedResponse['headers'] | undefined;

export function limit(writer: ResponseWriter, headers: ScriptedResponse['headers'] = {}): void {
  const details = { type: 'requests', code: 'rate_limit_exceeded' };
  writer.send({ status: 429, headers, body: errorBody('Rate limit reached', details) });
}

function dateIn(seconds: number): string {
  // An HTTP date has no fractions: rounded up, so that it is never early.
  return new Date(Math.ceil(Date.now() / 1000 + seconds) * 1000).toUTCString();
}

/** A model name is text of the caller: characters that a header cannot contain are removed. */
function headerText(text: string): string {
  return text.replaceAll(/[^\u0020-\u007E]/g, '');
}
