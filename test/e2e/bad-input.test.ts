import { request as httpRequest } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { postChat } from './support/post-chat.ts';
import { startEnvironment, type TestEnvironment } from './support/start-environment.ts';

const problemSchema = z.strictObject({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  instance: z.string(),
  retryable: z.boolean(),
  requestId: z.string(),
  error: z.strictObject({
    message: z.string(),
    type: z.string(),
    param: z.string().nullable(),
    code: z.string(),
  }),
});

const LEVELS = 6_000;
const DEEP_LIST = '['.repeat(LEVELS) + ']'.repeat(LEVELS);
const DEEP_OBJECT = `${'{"a":'.repeat(LEVELS)}1${'}'.repeat(LEVELS)}`;
/** The host reads the fields of a body too, and `Headers` is the one that the library builds on. */
const DEEP_BODIES = [
  DEEP_OBJECT,
  `{"message":"a","metadata":${DEEP_OBJECT}}`,
  `{"message":"a","Headers":${DEEP_OBJECT}}`,
  `{"message":"a","Headers":{"a":${DEEP_LIST}}}`,
];

let environment: TestEnvironment;
beforeAll(async () => {
  environment = await startEnvironment();
});
afterAll(() => environment.stop());

async function problemOf(response: Response): Promise<z.infer<typeof problemSchema>> {
  expect(response.headers.get('content-type')).toBe('application/problem+json');
  return problemSchema.parse(await response.json());
}

describe('POST /api/chat with bad input', () => {
  it.each([
    { what: 'malformed JSON', body: '{"message": ', status: 400, code: 'invalid_json' },
    { what: 'no body', body: '', status: 400, code: 'invalid_json' },
    { what: 'an array', body: '[]', status: 400, code: 'invalid_request' },
    { what: 'null', body: 'null', status: 400, code: 'invalid_request' },
    {
      what: 'a missing message',
      body: '{}',
      status: 400,
      code: 'invalid_request',
      param: 'message',
    },
    {
      what: 'a blank message',
      body: '{"message":" \\n"}',
      status: 400,
      code: 'invalid_request',
      param: 'message',
    },
    {
      what: 'a message of the wrong type',
      body: '{"message":7}',
      status: 400,
      code: 'invalid_request',
      param: 'message',
    },
    {
      what: 'an unknown field',
      body: '{"message":"a","modell":"x"}',
      status: 400,
      code: 'invalid_request',
      param: 'modell',
    },
    {
      what: 'a negative bound',
      body: '{"message":"a","maxOutputTokens":-1}',
      status: 400,
      code: 'invalid_request',
      param: 'maxOutputTokens',
    },
    {
      what: 'a key twice',
      body: '{"message":"a","message":"b"}',
      status: 400,
      code: 'invalid_request',
    },
    {
      what: 'a prototype',
      body: '{"message":"a","__proto__":{}}',
      status: 400,
      code: 'invalid_request',
    },
    {
      what: 'endless nesting',
      body: '['.repeat(100_000) + ']'.repeat(100_000),
      status: 400,
      code: 'invalid_request',
    },
    ...DEEP_BODIES.map((body, index) => ({
      what: `JSON nested 6,000 levels deep, form ${index + 1} (T12)`,
      body,
      status: 400,
      code: 'invalid_request',
    })),
    {
      what: 'half a character',
      body: '{"message":"\\ud83d"}',
      status: 400,
      code: 'invalid_encoding',
    },
    {
      what: '300 KiB',
      body: JSON.stringify({ message: 'a'.repeat(300 * 1024) }),
      status: 413,
      code: 'payload_too_large',
    },
  ])('refuses $what', async ({ body, status, code, param = null }) => {
    const response = await postChat(environment.url, body);

    const problem = await problemOf(response);
    expect(response.status).toBe(status);
    expect(problem.error).toMatchObject({ code, param });
    expect(problem.status).toBe(status);
  });

  it('refuses bytes that are not UTF-8', async () => {
    const body = Buffer.concat([
      Buffer.from('{"message":"'),
      Buffer.from([0xff, 0xfe]),
      Buffer.from('"}'),
    ]);

    const response = await fetch(`${environment.url}/api/chat`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });

    expect(response.status).toBe(400);
    expect((await problemOf(response)).error.code).toBe('invalid_encoding');
  });

  it.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/json; charset=utf-16',
    '',
  ])('refuses the content type "%s"', async (type) => {
    const response = await postChat(
      environment.url,
      { message: 'a' },
      { headers: { 'content-type': type } },
    );

    expect(response.status).toBe(415);
    expect((await problemOf(response)).error.code).toBe('unsupported_media_type');
  });

  it('refuses a chunked body at the limit, without an end in sight', async () => {
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const request = httpRequest(`${environment.url}/api/chat`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
      });
      const timer = setInterval(() => request.write('x'.repeat(16_384)), 1);
      request.on('response', (response) => {
        clearInterval(timer);
        resolve(response.statusCode);
        request.destroy();
      });
      request.on('error', (error) => {
        clearInterval(timer);
        reject(error);
      });
    });

    expect(status).toBe(413);
  });

  it.each([
    '/api/chat?headers=1',
    '/api/chat?HEADERS=%7B%22x-functions-key%22%3A%22a%22%7D',
    '/api/chat?a=1&Headers=',
  ])('refuses %s, which would take the place of the headers', async (path) => {
    const response = await fetch(environment.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"message":"a"}',
    });

    expect(response.status).toBe(400);
    expect((await problemOf(response)).error).toMatchObject({
      code: 'invalid_request',
      param: 'headers',
    });
  });

  it('refuses a body field that would take the place of the headers', async () => {
    const response = await postChat(environment.url, {
      message: 'a',
      Headers: { 'x-request-id': 'forged' },
    });

    expect(response.status).toBe(400);
    expect((await problemOf(response)).error.param).toBe('headers');
    expect(response.headers.get('x-request-id')).not.toBe('forged');
  });

  it('never calls the model for any of these', () => {
    expect(environment.model.calls()).toEqual([]);
  });
});

describe('other routes', () => {
  it('answers 404 for a wrong method and an unknown path', async () => {
    const get = await fetch(`${environment.url}/api/chat`);
    const unknown = await fetch(`${environment.url}/.env`);

    expect([get.status, unknown.status]).toEqual([404, 404]);
  });
});
