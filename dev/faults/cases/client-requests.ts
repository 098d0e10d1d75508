import { custom, type FaultCase, type Finding } from '../fault-case.ts';
import type { FaultEnvironment } from '../fault-environment.ts';
import { newMarker } from '../run-case.ts';

const COMPLETIONS = '/v1/chat/completions';
const RESPONSES = '/v1/responses';
interface UserMessage {
  readonly role: 'user';
  readonly content: string;
}

const USER: UserMessage = { role: 'user', content: 'Hi' };
const ANSWER = { role: 'assistant', content: 'Yes', refusal: null, annotations: [] } as const;
const NULLS = {
  temperature: null,
  stop: null,
  tools: null,
  tool_choice: null,
  logit_bias: null,
  response_format: null,
} as const;
const NOTHING = { tools: [], functions: [], logit_bias: {}, stop: [], top_logprobs: 0 } as const;
const AS_TEXT = { type: 'image_url', image_url: 'https://example.com/a.png' } as const;
const FIVE = { messages: [USER], stop: ['a', 'b', 'c', 'd', 'e'] } as const;
/** More characters than the default bound of a conversation. */
const LONG_CHARS = 100_001;

interface RequestCase {
  readonly injected: string;
  readonly path: string;
  /** The body of a POST; without one the request is a GET. */
  readonly body?: (last: UserMessage) => object;
  /** A script of the model in place of an answer. */
  readonly script?: string;
  readonly expected: { readonly status: number; readonly contains: string; readonly calls: number };
}

const SERVED = { status: 200, contains: '"object":"chat.completion"', calls: 1 } as const;
const TOO_LONG = { status: 400, contains: '"code":"context_length_exceeded"' } as const;
const UNKNOWN = { status: 404, contains: '"code":"not_found"', calls: 0 } as const;

/** F18 to F22: what clients of OpenAI's API send, and what they have to read. */
export const clientRequests: readonly FaultCase[] = [
  accepted('F18', 'null for parameters', (last) => ({ messages: [last], ...NULLS })),
  accepted('F18', 'values that ask for nothing', (last) => ({ messages: [last], ...NOTHING })),
  accepted('F18', 'an answer of this service, sent back', (last) => ({
    messages: [USER, { ...ANSWER, audio: null, function_call: null, tool_calls: [] }, last],
  })),
  accepted('F18', 'parts with fields of the client', (last) => ({
    messages: [{ role: 'user', content: [{ type: 'text', text: last.content, role: 'user' }] }],
  })),
  accepted('F19', 'a developer message alone', (last) => ({
    messages: [{ role: 'developer', content: last.content }],
  })),
  accepted('F19', 'an assistant message last', (last) => ({
    messages: [last, { role: 'assistant', content: 'Dear' }],
  })),
  refused('F20', 'an image as text', {
    body: { messages: [{ role: 'user', content: [AS_TEXT] }] },
    wanted: 'image_url\\" must be an object',
  }),
  refused('F20', 'five stop texts', { body: FIVE, wanted: 'at most 4 texts' }),
  refused('F20', 'no role', { body: { messages: [{ content: 'Hi' }] }, wanted: 'is required' }),
  requestCase('F21', { injected: 'GET /v1/', path: '/v1/', expected: UNKNOWN }),
  requestCase('F21', { injected: 'GET of a chat route', path: COMPLETIONS, expected: UNKNOWN }),
  requestCase('F22', {
    injected: 'a conversation that the endpoint finds too long',
    path: COMPLETIONS,
    script: 'dev/context-length-0',
    body: (last) => ({ messages: [last] }),
    expected: { ...TOO_LONG, calls: 1 },
  }),
  requestCase('F22', {
    injected: 'a conversation above the bound',
    path: RESPONSES,
    body: (last) => ({ input: last.content.padEnd(LONG_CHARS, 'x') }),
    expected: { ...TOO_LONG, calls: 0 },
  }),
];

function accepted(id: string, injected: string, body: (last: UserMessage) => object): FaultCase {
  return requestCase(id, { injected, path: COMPLETIONS, body, expected: SERVED });
}

function refused(
  id: string,
  injected: string,
  { body, wanted }: { readonly body: object; readonly wanted: string },
): FaultCase {
  const expected = { status: 400, contains: wanted, calls: 0 };
  return requestCase(id, { injected, path: COMPLETIONS, body: () => body, expected });
}

function requestCase(
  id: string,
  { injected, path, body, script, expected }: RequestCase,
): FaultCase {
  const { status, contains, calls } = expected;
  return custom({
    id,
    injected,
    promised: `${status}, ${calls} calls`,
    modes: ['json'],
    async run(environment: FaultEnvironment): Promise<Finding> {
      const marker = newMarker();
      const content = `${script ?? 'dev/instant'} ${marker}`;
      const response = await fetch(`${environment.url}${path}`, {
        ...(body === undefined ? {} : { method: 'POST' }),
        headers: { 'content-type': 'application/json' },
        body: body === undefined ? null : JSON.stringify(body({ role: 'user', content })),
      });
      const text = await response.text();
      const made = environment.callsWith(marker).length;
      const isFinal = response.ok || response.headers.get('x-should-retry') === 'false';
      return {
        happened: `${response.status}, ${made} calls`,
        calls: made,
        received: [text, JSON.stringify([...response.headers])],
        problems: [
          ...(response.status === status ? [] : [`status ${response.status}`]),
          ...(text.includes(contains) ? [] : [`the body has no ${contains}`]),
          ...(made === calls ? [] : [`${made} calls of the model`]),
          ...(isFinal ? [] : ['clients would repeat the request']),
        ],
      };
    },
  });
}
