import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { Agent, type IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { HttpHandler } from '@azure/functions';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { claimConnection, trackConnections } from '../../shared/http/client-connection.ts';
import { countTimers } from '../support/chat-handler.ts';
import { startLibraryWorker, type LibraryWorker } from './library-worker.ts';
import { postTo, type SendOptions, textOf } from './post-to-worker.ts';

let worker: LibraryWorker;
let current: HttpHandler;

beforeAll(async () => {
  worker = await startLibraryWorker((request, context) => current(request, context));
});

afterAll(() => worker.close());

const post = (options: SendOptions) => postTo(worker, options);

describe('the body of a request', () => {
  it('is taken whole once it has arrived, and the connection serves the next request', async () => {
    const taken: unknown[] = [];
    trackConnections();
    current = async (_request, { invocationId }) => {
      const connection = claimConnection(invocationId);
      await new Promise(setImmediate);
      taken.push(String(connection?.takeCompleteBody()), connection?.takeCompleteBody());
      return { status: 200, body: 'taken' };
    };
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });

    for (const body of ['"first"', '"second"']) {
      const headers = { 'content-length': String(body.length) };
      const { answered, invoked } = post({ body, headers, agent });
      expect(await textOf(await answered)).toBe('taken');
      await invoked;
    }
    agent.destroy();

    expect(taken).toEqual(['"first"', undefined, '"second"', undefined]);
  });

  it('ends after the response without closing the connection of the next request', async () => {
    const arrived = Promise.withResolvers<void>();
    // The parser reports the bytes of a body and then its end; the handler goes on in between.
    const onRequest = (message: unknown): void => {
      const { request } = message as { request: IncomingMessage };
      const push = request.push.bind(request);
      request.push = (chunk: unknown) => {
        if (chunk !== null) arrived.resolve();
        return push(chunk);
      };
    };
    subscribe('http.server.request.start', onRequest);
    onTestFinished(() => void unsubscribe('http.server.request.start', onRequest));
    trackConnections();
    current = async (_request, { invocationId }) => {
      const connection = claimConnection(invocationId);
      await arrived.promise;
      expect(connection?.takeCompleteBody()).toBeDefined();
      return { status: 200, body: 'taken' };
    };
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    onTestFinished(() => agent.destroy());

    const { request, answered, invoked } = post({
      body: '"body"',
      headers: { 'content-length': '6' },
      agent,
    });
    expect(await textOf(await answered)).toBe('taken');
    await invoked;
    const closed = once(request.socket ?? request, 'close').then(() => 'closed');
    const kept = delay(1_500).then(() => 'kept');

    expect(await Promise.race([closed, kept])).toBe('kept');
  });

  it('leaves no timer of its connection when it was taken, however early its answer is', async () => {
    trackConnections();
    current = async (_request, { invocationId }) => {
      const body = claimConnection(invocationId)?.takeCompleteBody();
      return { status: 200, body: String(body?.byteLength) };
    };
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    async function sendOne(): Promise<void> {
      const { answered, invoked } = post({
        body: '"early"',
        headers: { 'content-length': '7' },
        agent,
      });
      await textOf(await answered);
      await invoked;
    }

    await sendOne();
    const before = countTimers();
    for (let sent = 0; sent < 50; sent += 1) await sendOne();
    const after = countTimers();
    agent.destroy();

    expect(after).toBeLessThanOrEqual(before + 5);
  });

  it('is left to the library while a part of it is missing', async () => {
    const started = Promise.withResolvers<unknown>();
    trackConnections();
    current = async (request, { invocationId }) => {
      started.resolve(claimConnection(invocationId)?.takeCompleteBody());
      return { status: 200, body: await request.text() };
    };

    const { request, answered, invoked } = post({ headers: { 'content-length': '7' } });
    request.write('"fir');
    const taken = await started.promise;
    request.end('st"');
    const text = await textOf(await answered);
    await invoked;

    expect(taken).toBeUndefined();
    expect(text).toBe('"first"');
  });
});
