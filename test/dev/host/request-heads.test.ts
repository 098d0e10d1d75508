import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { runFixture } from './support/fixture-host.ts';
import type { FixtureHost } from './support/fixture-host.ts';
import { exchange, open, readAll, requestText } from './support/raw-http.ts';

const KEYS = { master: 'master-key', host: { default: 'host-key' } };

const seenSchema = z.object({
  headers: z.record(z.string(), z.string()),
  rawHeaders: z.array(z.string()),
  body: z.string(),
});

let host: FixtureHost;
beforeAll(async () => {
  host = await runFixture('streaming', {
    enableAuth: true,
    keys: KEYS,
    timings: { bodyGraceMs: 300 },
  });
});
afterAll(() => host.stop());

/** Sends bytes as they are and gives the status of the answer. */
async function statusOf(text: string): Promise<number> {
  const answer = await exchange(host.port, Buffer.from(text, 'latin1'));
  return Number(answer.split(' ')[1]);
}

async function seen(text: string): Promise<z.infer<typeof seenSchema>> {
  const answer = await exchange(host.port, Buffer.from(text, 'latin1'));
  const body = answer.slice(answer.indexOf('\r\n\r\n') + 4);
  return seenSchema.parse(JSON.parse(body.slice(body.indexOf('{'), body.lastIndexOf('}') + 1)));
}

describe('the web server', () => {
  it.each([
    ['two Host headers', requestText('GET /echo', ['Host: other']), 400],
    [
      'a Host outside ASCII',
      'GET /echo HTTP/1.1\r\nHost: ex\xe4mple\r\nConnection: close\r\n\r\n',
      400,
    ],
    [
      'a Host of UTF-8 outside ASCII',
      'GET /echo HTTP/1.1\r\nHost: ex\xc3\xa4mple\r\nConnection: close\r\n\r\n',
      400,
    ],
    ['no Host in HTTP/1.1', 'GET /echo HTTP/1.1\r\nConnection: close\r\n\r\n', 400],
    ['an empty Host', 'GET /echo HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n', 500],
    ['no Host in HTTP/1.0', 'GET /echo HTTP/1.0\r\n\r\n', 500],
    ['a Latin-1 byte in a value', requestText('GET /echo', ['X-Name: Andr\xe9']), 400],
    ['a zero byte in a value', requestText('GET /echo', ['X-Name: a\0b']), 400],
    ['a carriage return in a value', requestText('GET /echo', ['X-Name: a\rb']), 400],
    ['a blank in a header name', requestText('GET /echo', ['X Name: a']), 400],
    [
      'lines that end with a line feed alone',
      'GET /echo HTTP/1.1\nHost: a\nConnection: close\n\n',
      200,
    ],
    ['an unknown method', requestText('FOO /echo'), 404],
    [
      'an unknown method with a header name that is no token',
      requestText('FOO /echo', ['x-a;: b']),
      404,
    ],
    ['the target * of OPTIONS', requestText('OPTIONS *'), 404],
    ['the target * of another method', requestText('GET *'), 400],
    ['a webhook of the platform', requestText('POST /runtime/webhooks/x'), 403],
    [
      'a webhook of the platform with the master key',
      requestText('POST /runtime/webhooks/x', ['x-functions-key: master-key']),
      404,
    ],
    [
      'two keys of which the first is good',
      requestText('GET /keyed', ['x-functions-key: host-key', 'x-functions-key: wrong']),
      200,
    ],
    [
      'two keys of which the second is good',
      requestText('GET /keyed', ['x-functions-key: wrong', 'x-functions-key: host-key']),
      401,
    ],
  ])('answers %s as the platform does', async (_what, text, status) => {
    expect(await statusOf(text)).toBe(status);
  });

  it('answers an unknown method with the custom headers, as any route that is missing', async () => {
    const answer = await exchange(host.port, requestText('FOO /echo'));

    expect(answer).toMatch(/x-content-type-options: nosniff/i);
  });

  it('reads chunks and not the length when a request has both', async () => {
    const headers = ['Content-Length: 3', 'Transfer-Encoding: chunked'];

    const request = await seen(requestText('POST /echo', headers, '5\r\nhello\r\n0\r\n\r\n'));

    expect(request.body).toBe('hello');
    expect(request.headers).not.toHaveProperty('content-length');
  });

  it('joins two Content-Type headers with a comma', async () => {
    const headers = ['Content-Type: text/plain', 'Content-Type: application/json'];

    const request = await seen(requestText('GET /echo', headers));

    expect(request.headers['content-type']).toBe('text/plain, application/json');
    expect(request.rawHeaders).toContain('text/plain, application/json');
  });

  it('reads the values of headers as UTF-8', async () => {
    const text = requestText('GET /no-such-route', ['X-Name: Andr\xc3\xa9']);

    expect(await statusOf(text)).toBe(404);
  });
});

describe('a body that is shorter than announced', () => {
  it('is answered with 500 once it has been too slow for the grace', async () => {
    const socket = await open(host.port);
    socket.write(requestText('POST /echo', ['Content-Length: 1000'], 'only a part'));

    const answer = await readAll(socket);

    expect(answer.split(' ')[1]).toBe('500');
    expect(answer).toMatch(/connection: close/i);
  });

  it('is read for as long as it takes when it keeps the pace', async () => {
    const socket = await open(host.port);
    const answer = readAll(socket);
    socket.write(requestText('POST /echo', ['Content-Length: 1500']));

    for (let part = 0; part < 5; part += 1) {
      socket.write('x'.repeat(300));
      await new Promise((resolve) => setTimeout(resolve, 150));
    }

    expect((await answer).split(' ')[1]).toBe('200');
  });
});
