import type { HttpHandler } from '@azure/functions';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toLibraryResponse } from '../../shared/http/library-response.ts';
import { sseResponse } from '../../shared/http/sse.ts';
import type { SseEvent } from '../../shared/protocols/protocol.ts';
import { jsonResponse } from '../../shared/http/responses.ts';
import { startLibraryWorker, type LibraryWorker } from './library-worker.ts';

type Result = Awaited<ReturnType<HttpHandler>>;

let worker: LibraryWorker;
let result: unknown;
const reads = new Set<string>();

beforeAll(async () => {
  worker = await startLibraryWorker(() => record(toLibraryResponse(result)) as Result);
});
afterAll(() => worker.close());

/** The same object, which notes what the library reads of it. */
function record(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  return new Proxy(value, {
    get(target, name) {
      // Each promise looks for it.
      if (name !== 'then') reads.add(String(name));
      return Reflect.get(target, name, target);
    },
  });
}

async function answer(): Promise<{ response: Response; text: string }> {
  const { headers, invoked } = worker.announce();
  const response = await fetch(new URL('/api/chat', worker.url), { headers });
  const text = await response.text();
  await invoked;
  return { response, text };
}

async function* events(): AsyncGenerator<readonly SseEvent[]> {
  const deltas = ['Zoë', ' says'].map((text) => ({ event: 'delta', data: { text } }));
  yield deltas;
  yield [];
  yield [{ event: 'done', data: {} }];
}

describe('a response in the form of the Functions library', () => {
  it('is written with its status, headers and text, and nothing else of it is read', async () => {
    result = { ...jsonResponse({ text: 'Zoë' }, 201), headers: { 'x-one': '1' } };
    reads.clear();

    const { response, text } = await answer();

    expect(response.status).toBe(201);
    expect(response.headers.get('x-one')).toBe('1');
    expect(text).toBe('{"text":"Zoë"}');
    // A version of the library that reads more needs more members in library-response.ts.
    expect([...reads].toSorted()).toEqual(['body', 'cookies', 'headers', 'status']);
  });

  it('is a stream of events, each of them in its own frame', async () => {
    const ends: string[] = [];
    result = sseResponse(events(), {
      heartbeatMs: 10_000,
      slowReaderTimeoutMs: 10_000,
      connection: undefined,
      signal: new AbortController().signal,
      toLastEvents: () => [],
      onEnd: (how) => void ends.push(how),
    });

    const { response, text } = await answer();

    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    expect(text).toBe(
      'event: delta\ndata: {"text":"Zoë"}\n\n' +
        'event: delta\ndata: {"text":" says"}\n\n' +
        'event: done\ndata: {}\n\n',
    );
    expect(ends).toEqual(['complete']);
  });

  it.each([204, 304])('has no body with status %d', async (status) => {
    result = { status, body: 'not allowed' };

    const { response, text } = await answer();

    expect(response.status).toBe(status);
    expect(text).toBe('');
  });

  it.each([
    { status: 200, body: new Uint8Array([111, 107]) },
    { status: 200, jsonBody: 'ok' },
    { status: 200, body: 'ok', cookies: [{ name: 'a', value: 'b' }] },
  ])('is left to the library where it has members of another kind: %j', async (other) => {
    result = other;

    const { response, text } = await answer();

    expect(response.status).toBe(200);
    expect(text).toContain('ok');
    expect(toLibraryResponse(other)).toBe(other);
  });
});
