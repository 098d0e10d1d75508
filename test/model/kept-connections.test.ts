import { createServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { createModelUnderTest, failureOf } from '../support/model-under-test.ts';
import { chunk, completion, event } from '../support/scripted-upstream.ts';

interface CountedRequest {
  /** 1 for the first request of a connection. */
  readonly ofConnection: number;
  readonly socket: Socket;
}

/** A server that resets a connection instead of a response where `isReset` says so. */
async function startResettingUpstream(isReset: (request: CountedRequest) => boolean) {
  const counts = new WeakMap<Socket, number>();
  const stats = { connections: 0, responses: 0, resets: 0 };
  const server: Server = createServer((request, response) => {
    const { socket } = request;
    const ofConnection = (counts.get(socket) ?? 0) + 1;
    counts.set(socket, ofConnection);
    void text(request).then((body) => {
      if (isReset({ ofConnection, socket })) {
        stats.resets += 1;
        socket.resetAndDestroy();
        return;
      }
      stats.responses += 1;
      if (body.includes('"stream":true')) {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.end(event(chunk({ content: 'hello' })) + event(chunk({}, 'stop')));
      } else {
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(JSON.stringify(completion({ content: 'hello' })));
      }
    });
  });
  server.on('connection', () => (stats.connections += 1));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    stats,
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

describe('F3 a kept connection that the server has closed', () => {
  it('costs neither an attempt nor a wait: every second request of a connection is reset', async () => {
    await using upstream = await startResettingUpstream(({ ofConnection }) => ofConnection === 2);
    const { complete, stream, model, lines } = createModelUnderTest({
      endpoints: [upstream.baseUrl],
      settings: { maxAttempts: 1, retryBudgetRatio: 0 },
    });

    const texts = [];
    for (let i = 0; i < 20; i += 1) {
      texts.push((await complete()).text, (await stream()).answer?.text);
    }

    expect(texts).toEqual(Array(40).fill('hello'));
    expect(upstream.stats.responses).toBe(40);
    expect(model.endpoints()[0]).toMatchObject({ circuit: 'closed' });
    expect(model.endpoints()[0]).not.toHaveProperty('lastFailureAt');
    expect(lines.filter(({ message }) => message !== 'model attempt')).toEqual([]);
  });

  it('shortens the time for which later connections are kept', async () => {
    await using upstream = await startResettingUpstream(({ ofConnection }) => ofConnection === 2);
    const { complete } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    for (let i = 0; i < 40; i += 1) await complete();

    expect(upstream.stats.resets).toBeLessThan(5);
  });

  it('is resent once for forty calls at the same time', async () => {
    await using upstream = await startResettingUpstream(({ ofConnection }) => ofConnection === 2);
    const { complete } = createModelUnderTest({
      endpoints: [upstream.baseUrl],
      settings: { maxAttempts: 1 },
    });
    await Promise.all(Array.from({ length: 40 }, () => complete()));

    const answers = await Promise.all(Array.from({ length: 40 }, () => complete()));

    expect(answers.map(({ text: said }) => said)).toEqual(Array(40).fill('hello'));
  });

  it('is not assumed for a server that resets new connections too', async () => {
    let isDown = false;
    await using upstream = await startResettingUpstream(() => isDown);
    const { complete, model } = createModelUnderTest({
      endpoints: [upstream.baseUrl],
      settings: { maxAttempts: 1 },
    });
    await complete();
    isDown = true;

    const failure = await failureOf(complete());

    expect(failure.code).toBe('upstream_unavailable');
    expect(upstream.stats.resets).toBe(2);
    expect(model.endpoints()[0]).toMatchObject({ lastFailureCode: 'upstream_unavailable' });
  });

  it('is resent only where no byte of a response arrived', async () => {
    let requests = 0;
    await using upstream = await startResettingUpstream(({ ofConnection, socket }) => {
      requests += 1;
      if (ofConnection < 2) return false;
      socket.write('HTTP/1.1 200 OK\r\n');
      return true;
    });
    const { complete } = createModelUnderTest({
      endpoints: [upstream.baseUrl],
      settings: { maxAttempts: 1 },
    });
    await complete();

    await failureOf(complete());

    expect(requests).toBe(2);
  });

  it('does not outlive an abort', async () => {
    const caller = new AbortController();
    await using upstream = await startResettingUpstream(({ ofConnection }) => {
      if (ofConnection === 2) caller.abort(new Error('client gone'));
      return ofConnection === 2;
    });
    const { complete } = createModelUnderTest({ endpoints: [upstream.baseUrl] });
    await complete();

    await expect(complete({ signal: caller.signal })).rejects.toThrow('client gone');

    expect(upstream.stats.responses).toBe(1);
  });
});
