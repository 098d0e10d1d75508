import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { from } from './support/callers.ts';
import { startEnvironment, type TestEnvironment } from './support/start-environment.ts';

const OWNER = from('203.0.113.1');
const OTHER = from('198.51.100.1');
const idSchema = z.object({ id: z.string() });

let environment: TestEnvironment;
let ids: { readonly response: string; readonly conversation: string; readonly run: string };

async function send(path: string, init: RequestInit): Promise<Response> {
  return fetch(`${environment.url}${path}`, init);
}

async function create(path: string, body: object): Promise<string> {
  const headers = { ...OWNER, 'content-type': 'application/json' };
  const created = await send(path, { method: 'POST', headers, body: JSON.stringify(body) });
  return idSchema.parse(await created.json()).id;
}

beforeAll(async () => {
  environment = await startEnvironment();
  const item = { type: 'message', role: 'user', content: 'Secret' };
  ids = {
    response: await create('/v1/responses', { input: 'Secret' }),
    conversation: await create('/v1/conversations', { items: [item] }),
    run: await create('/api/chat', { message: 'Secret', background: true }),
  };
});
afterAll(() => environment.stop());

/** The same id with other random digits. */
function absent(id: string): string {
  return `${id.slice(0, -8)}${id.endsWith('00000000') ? '11111111' : '00000000'}`;
}

interface Route {
  readonly method: string;
  readonly pathOf: (of: typeof ids) => string;
  readonly body?: object;
}

const ROUTES: readonly Route[] = [
  { method: 'GET', pathOf: ({ response }) => `/v1/responses/${response}` },
  { method: 'GET', pathOf: ({ response }) => `/v1/responses/${response}?stream=true` },
  { method: 'GET', pathOf: ({ response }) => `/v1/responses/${response}/input_items` },
  { method: 'POST', pathOf: ({ response }) => `/v1/responses/${response}/cancel` },
  { method: 'DELETE', pathOf: ({ response }) => `/v1/responses/${response}` },
  { method: 'GET', pathOf: ({ conversation }) => `/v1/conversations/${conversation}` },
  {
    method: 'POST',
    pathOf: ({ conversation }) => `/v1/conversations/${conversation}`,
    body: { metadata: {} },
  },
  { method: 'DELETE', pathOf: ({ conversation }) => `/v1/conversations/${conversation}` },
  { method: 'GET', pathOf: ({ conversation }) => `/v1/conversations/${conversation}/items` },
  { method: 'GET', pathOf: ({ run }) => `/api/chat/${run}` },
  { method: 'POST', pathOf: ({ run }) => `/api/chat/${run}/cancel` },
];

/** What a caller reads, without the id of its request. */
async function answerOf(method: string, path: string, body?: object): Promise<string> {
  const headers = { ...OTHER, 'x-request-id': 'r', 'content-type': 'application/json' };
  const init = body === undefined ? {} : { body: JSON.stringify(body) };
  const answer = await send(path, { method, headers, ...init });
  return `${answer.status} ${await answer.text()}`;
}

describe('A7: what belongs to another caller', () => {
  it.each(ROUTES)('is like nothing for $method $pathOf', async ({ method, pathOf, body }) => {
    const others = {
      response: absent(ids.response),
      conversation: absent(ids.conversation),
      run: absent(ids.run),
    };

    const foreign = await answerOf(method, pathOf(ids), body);
    const none = await answerOf(method, pathOf(others), body);

    expect(foreign).toMatch(/^404 /);
    expect(foreign).toBe(none);
  });

  it.each(['previous_response_id', 'conversation'])('is like nothing as %s', async (name) => {
    const id = name === 'conversation' ? ids.conversation : ids.response;
    const path = '/v1/responses';

    const foreign = await answerOf('POST', path, { input: 'Hi', [name]: id });
    const none = await answerOf('POST', path, { input: 'Hi', [name]: absent(id) });

    expect(foreign).toMatch(/^40[04] /);
    expect(foreign.replaceAll(id, '')).toBe(none.replaceAll(absent(id), ''));
  });

  it('is still there for its owner', async () => {
    const answers = await Promise.all(
      [`/v1/responses/${ids.response}`, `/v1/conversations/${ids.conversation}`].map((path) =>
        send(path, { headers: OWNER }),
      ),
    );

    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
  });
});
