import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createHttpClient, type HttpPostRequest } from '../../shared/model/http-client.ts';
import { readText } from '../../shared/model/openai/read-response.ts';
import { answer, hang, reset, say, startScriptedUpstream } from '../support/scripted-upstream.ts';

const GONE = new Error('client gone');
const httpClient = createHttpClient();

function send(baseUrl: string, parts: Partial<HttpPostRequest> = {}) {
  return httpClient.post({
    address: `${baseUrl}/chat/completions`,
    headers: { 'content-type': 'application/json' },
    body: '{}',
    signal: new AbortController().signal,
    ...parts,
  });
}

/** A TCP server that answers a request with these bytes and keeps the socket open. */
async function startRawUpstream(bytes: string) {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.once('data', () => socket.write(bytes));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    sockets,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Long enough for callbacks in the next turns of the event loop. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
}

describe('createHttpClient', () => {
  it('sends sequential requests over one connection and concurrent ones over several', async () => {
    await using upstream = await startScriptedUpstream(say('hello'));
    const ask = async () => readText((await send(upstream.baseUrl)).body, 10_000);

    await ask();
    await ask();
    await ask();
    const inTurn = upstream.connections();
    await Promise.all([ask(), ask(), ask()]);

    expect([inTurn, upstream.connections()]).toEqual([1, 3]);
  });

  it('sends the given headers and body with its length, and asks for no encoding', async () => {
    await using upstream = await startScriptedUpstream(say('hello'));

    await readText((await send(upstream.baseUrl, { body: '{"a":"ü"}' })).body, 10_000);

    expect(upstream.requests[0]).toMatchObject({ path: '/v1/chat/completions', body: { a: 'ü' } });
    expect(upstream.requests[0]?.headers).toEqual({
      connection: 'keep-alive',
      'content-length': '10',
      'content-type': 'application/json',
      host: new URL(upstream.baseUrl).host,
    });
  });

  it('returns every value of a repeated header', async () => {
    await using upstream = await startRawUpstream(
      'HTTP/1.1 429 Slow\r\nRetry-After: 2\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n',
    );

    const { status, headers } = await send(upstream.baseUrl);

    expect([status, headers.get('retry-after'), headers.get('x-absent')]).toEqual([
      429,
      '2, 30',
      null,
    ]);
  });

  it.each([
    ['a header with a line break in it', 'http://127.0.0.1:9/v1', 'Bearer canary\r\nx: y'],
    ['an address of another kind', 'ftp://127.0.0.1/v1', 'Bearer canary'],
    ['an address that is none', 'canary', 'Bearer canary'],
  ])('rejects %s as an error of configuration', async (_name, baseUrl, authorization) => {
    const refused = send(baseUrl, { headers: { authorization } });

    await expect(refused).rejects.toBeInstanceOf(TypeError);
    await expect(refused).rejects.not.toThrow('canary');
  });

  it('rejects with the code of the system if no server listens or the connection is reset', async () => {
    const closed = await startScriptedUpstream(hang);
    await closed[Symbol.asyncDispose]();
    await using upstream = await startScriptedUpstream(reset);

    await expect(send(closed.baseUrl)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await expect(send(upstream.baseUrl)).rejects.toMatchObject({ code: 'ECONNRESET' });
  });

  it.each([
    [
      'a protocol that nobody asked for',
      'HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
    ],
    ['something that is no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n'],
    ['a header beyond all measure', `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(100_000)}\r\n\r\n`],
  ])('rejects a server that speaks %s', async (_name, bytes) => {
    await using upstream = await startRawUpstream(bytes);

    await expect(send(upstream.baseUrl)).rejects.toBeInstanceOf(Error);
  });

  it('ignores credentials in an address', async () => {
    await using upstream = await startScriptedUpstream(say('hello'));
    const address = upstream.baseUrl.replace('http://', 'http://user:canary@');

    await readText((await send(address)).body, 10_000);

    expect(upstream.requests[0]?.headers).not.toHaveProperty('authorization');
  });

  it('closes the connection of a response that arrived before the whole request was sent', async () => {
    await using upstream = await startRawUpstream('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    const sending = send(upstream.baseUrl, { body: 'x'.repeat(80_000_000) });
    while (upstream.sockets.length === 0) await settle();
    upstream.sockets[0]?.once('data', () => upstream.sockets[0]?.pause());

    const { body } = await sending;
    const connection: unknown = Reflect.get(body, 'socket');
    await readText(body, 100);
    await settle();

    expect(connection).toMatchObject({ destroyed: true });
  });

  it('reports a truncated body to its reader', async () => {
    await using upstream = await startRawUpstream(
      'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf',
    );
    const { body } = await send(upstream.baseUrl);
    const reading = readText(body, 10_000);

    upstream.sockets[0]?.end();

    await expect(reading).rejects.toMatchObject({ code: 'ECONNRESET' });
  });

  it('refuses a body above the cap and closes its connection', async () => {
    await using upstream = await startScriptedUpstream(
      answer(200, { text: 'x'.repeat(40_000_000) }),
    );
    const { body } = await send(upstream.baseUrl);

    await expect(readText(body, 1_000)).rejects.toMatchObject({ code: 'upstream_invalid' });
    expect(await upstream.requests[0]?.leftEarly).toBe(true);
  });
});

describe('a request that is aborted', () => {
  const uncaught: unknown[] = [];
  const note = (error: unknown): void => void uncaught.push(error);
  beforeEach(() => {
    uncaught.length = 0;
    process.on('uncaughtException', note);
  });
  afterEach(() => {
    process.off('uncaughtException', note);
    expect(uncaught).toEqual([]);
  });

  it('rejects with the reason before it is sent, without a call', async () => {
    await using upstream = await startScriptedUpstream(hang);

    await expect(send(upstream.baseUrl, { signal: AbortSignal.abort(GONE) })).rejects.toBe(GONE);
    expect(upstream.connections()).toBe(0);
  });

  it('rejects with the reason while it waits for the response, and closes the socket', async () => {
    await using upstream = await startScriptedUpstream(hang);
    const caller = new AbortController();
    const rejection = expect(send(upstream.baseUrl, { signal: caller.signal })).rejects.toBe(GONE);
    while (upstream.requests.length === 0) await settle();

    caller.abort(GONE);

    await rejection;
    expect(await upstream.requests[0]?.leftEarly).toBe(true);
  });

  it.each([
    ['in the middle of the body', 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf', false],
    ['after a body that was left unread', 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhalf', true],
    ['after a body without a length', 'HTTP/1.1 200 OK\r\n\r\nhalf', true],
  ])('closes the socket %s, and throws nothing without a listener', async (...row) => {
    const [, bytes, isDestroyedFirst] = row;
    await using upstream = await startRawUpstream(bytes);
    const caller = new AbortController();
    const { body } = await send(upstream.baseUrl, { signal: caller.signal });
    const [socket] = upstream.sockets;
    const closed = socket && once(socket, 'close');

    if (isDestroyedFirst) body.destroy();
    caller.abort(GONE);

    await closed;
    await settle();
    expect(body.destroyed).toBe(true);
  });

  it('throws nothing if a body breaks before it is read, and reports it to the reader', async () => {
    await using upstream = await startRawUpstream(
      'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf',
    );
    const { body } = await send(upstream.baseUrl);

    upstream.sockets[0]?.destroy();
    while (!body.destroyed) await settle();

    await expect(readText(body, 10_000)).rejects.toMatchObject({ code: 'ECONNRESET' });
  });

  it('has no effect after the body was read: its connection serves the next request', async () => {
    await using upstream = await startScriptedUpstream(say('hello'));
    const caller = new AbortController();
    await buffer((await send(upstream.baseUrl, { signal: caller.signal })).body);

    caller.abort(GONE);
    await settle();
    await buffer((await send(upstream.baseUrl)).body);

    expect(upstream.connections()).toBe(1);
  });
});
