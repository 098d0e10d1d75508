import { once } from 'node:events';
import { Agent, request as send, type ClientRequest, type IncomingMessage } from 'node:http';
import type { HttpHandler } from '@azure/functions';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { claimConnection, trackConnections } from '../../shared/http/client-connection.ts';
import { countTimers } from '../support/chat-handler.ts';
import { startLibraryWorker, type LibraryWorker } from './library-worker.ts';

let worker: LibraryWorker;
let current: HttpHandler;

beforeAll(async () => {
  worker = await startLibraryWorker((request, context) => current(request, context));
});

afterAll(() => worker.close());

interface SendOptions {
  /** Without it the request stays open. */
  readonly body?: string;
  readonly headers: Record<string, string>;
  readonly agent?: Agent;
}

/** Sends what the host would forward. */
function post({ body, headers, agent }: SendOptions) {
  const announced = worker.announce();
  const request: ClientRequest = send(worker.url, {
    method: 'POST',
    agent: agent ?? false,
    headers: { 'content-type': 'application/json', ...announced.headers, ...headers },
  });
  const answered = once(request, 'response') as Promise<[IncomingMessage]>;
  if (body !== undefined) request.end(body);
  return {
    request,
    answered: answered.then(([response]) => response),
    invoked: announced.invoked,
  };
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += String(chunk);
  return text;
}

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

  it('leaves no timer of its connection when it was taken, however early its answer is', async () => {
    trackConnections();
    current = async (_request, { invocationId }) => {
      const body = claimConnection(invocationId)?.takeCompleteBody();
      return { status: 200, body: String(body?.byteLength) };
    };
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    async function send(): Promise<void> {
      const { answered, invoked } = post({
        body: '"early"',
        headers: { 'content-length': '7' },
        agent,
      });
      await textOf(await answered);
      await invoked;
    }

    await send();
    const before = countTimers();
    for (let sent = 0; sent < 50; sent += 1) await send();
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
