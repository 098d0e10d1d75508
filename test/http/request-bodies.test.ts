import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { Agent, type IncomingMessage } from 'node:http';
import type { HttpHandler } from '@azure/functions';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { claimConnection, trackConnections } from '../../shared/http/client-connection.ts';
import { startLibraryWorker, type LibraryWorker } from './library-worker.ts';
import { postTo, textOf } from './post-to-worker.ts';

let worker: LibraryWorker;
let current: HttpHandler;

beforeAll(async () => {
  worker = await startLibraryWorker((request, context) => current(request, context));
});

afterAll(() => worker.close());

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
      const { answered, invoked } = postTo(worker, { body, headers, agent });
      expect(await textOf(await answered)).toBe('taken');
      await invoked;
    }
    agent.destroy();

    expect(taken).toEqual(['"first"', undefined, '"second"', undefined]);
  });

  it('has an end, also if the parser reports it after the response', async () => {
    const received: IncomingMessage[] = [];
    trackConnections();
    const arrived = Promise.withResolvers<void>();
    const capture = (message: unknown): void => {
      const { request } = message as { readonly request: IncomingMessage };
      received.push(request);
      const push = request.push.bind(request);
      // What waits for this runs between the last byte and the end of the body.
      request.push = (chunk: unknown) => {
        if (chunk !== null) arrived.resolve();
        return push(chunk);
      };
    };
    subscribe('http.server.request.start', capture);
    current = async (_request, { invocationId }) => {
      const connection = claimConnection(invocationId);
      await arrived.promise;
      return { status: 200, body: String(connection?.takeCompleteBody()) };
    };

    const { request, answered, invoked } = postTo(worker, { headers: { 'content-length': '7' } });
    request.flushHeaders();
    request.end('"first"');
    const text = await textOf(await answered);
    await invoked;
    unsubscribe('http.server.request.start', capture);

    expect(text).toBe('"first"');
    await expect.poll(() => received[0]?.readableEnded).toBe(true);
  });

  it('is left to the library while a part of it is missing', async () => {
    const started = Promise.withResolvers<unknown>();
    trackConnections();
    current = async (request, { invocationId }) => {
      started.resolve(claimConnection(invocationId)?.takeCompleteBody());
      return { status: 200, body: await request.text() };
    };

    const { request, answered, invoked } = postTo(worker, { headers: { 'content-length': '7' } });
    request.write('"fir');
    const taken = await started.promise;
    request.end('st"');
    const text = await textOf(await answered);
    await invoked;

    expect(taken).toBeUndefined();
    expect(text).toBe('"first"');
  });
});
