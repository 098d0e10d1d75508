import { HttpResponse } from '@azure/functions';
import { describe, expect, it } from 'vitest';
import { sseResponse, type SseOptions } from '../../../shared/http/sse.ts';
import type { SseEvent } from '../../../shared/protocols/protocol.ts';
import { never } from '../../support/scripted-model.ts';

const QUIET: SseOptions = {
  heartbeatMs: 10_000,
  slowReaderTimeoutMs: 10_000,
  connection: undefined,
  signal: new AbortController().signal,
  toLastEvents: () => [{ event: 'error', data: 'failed' }],
  onEnd: () => undefined,
};

function textOf(
  source: AsyncIterable<readonly SseEvent[]>,
  options: Partial<SseOptions> = {},
): Promise<string> {
  return new HttpResponse(sseResponse(source, { ...QUIET, ...options })).text();
}

function readerOf(
  source: AsyncIterable<readonly SseEvent[]>,
  options: Partial<SseOptions> = {},
): ReadableStreamDefaultReader<Uint8Array> {
  const { body } = new HttpResponse(sseResponse(source, { ...QUIET, ...options }));
  if (body === null) throw new Error('A stream has a body');
  return body.getReader() as ReadableStreamDefaultReader<Uint8Array>;
}

async function* eventsOf(...data: unknown[]): AsyncGenerator<readonly SseEvent[]> {
  for (const one of data) yield [{ event: 'delta', data: one }];
}

describe('sseResponse', () => {
  it('frames each event and forbids buffering and storing', async () => {
    const response = sseResponse(eventsOf({ text: 'a' }, 'b\nc'), QUIET);

    expect(response.headers).toEqual({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    });
    expect(await new HttpResponse(response).text()).toBe(
      'event: delta\ndata: {"text":"a"}\n\nevent: delta\ndata: "b\\nc"\n\n',
    );
  });

  it('never splits a character', async () => {
    const text = await textOf(eventsOf('👩‍👩‍👧 日本\u2028\u0085', '\ud83d', '\ude00'));

    const data = [...text.matchAll(/^data: (.*)$/gm)].map(([, json = '']) => JSON.parse(json));
    expect(data).toEqual(['👩‍👩‍👧 日本\u2028\u0085', '\ud83d', '\ude00']);
  });

  it('sends comments while the source is idle and none after the end', async () => {
    const gate = Promise.withResolvers<void>();
    async function* slow(): AsyncGenerator<readonly SseEvent[]> {
      await gate.promise;
      yield [{ event: 'done', data: 1 }];
    }
    const reader = readerOf(slow(), { heartbeatMs: 5 });
    const decoder = new TextDecoder();

    const silent = [await reader.read(), await reader.read(), await reader.read()];
    gate.resolve();
    let rest = '';
    for (let step = await reader.read(); !step.done; step = await reader.read()) {
      rest += decoder.decode(step.value);
    }

    expect(silent.map(({ value }) => decoder.decode(value))).toEqual(
      Array.from({ length: 3 }, () => ': keep-alive\n\n'),
    );
    expect(rest).toMatch(/event: done\ndata: 1\n\n$/);
  });

  it('pulls nothing before the reader reads', async () => {
    let pulled = 0;
    async function* counted(): AsyncGenerator<readonly SseEvent[]> {
      for (;;) {
        pulled += 1;
        yield [{ event: 'delta', data: pulled }];
      }
    }
    const reader = readerOf(counted());

    await new Promise(setImmediate);
    const before = pulled;
    await reader.read();
    await reader.read();
    await new Promise(setImmediate);

    expect(before).toBe(0);
    expect(pulled).toBe(2);
    await reader.cancel();
  });

  it('waits for the connection to drain before it reads the source', async () => {
    const drained = Promise.withResolvers<'ready'>();
    let pulled = 0;
    async function* counted(): AsyncGenerator<readonly SseEvent[]> {
      pulled += 1;
      yield [{ event: 'delta', data: 1 }];
    }
    const connection = {
      headers: {},
      clientDisconnected: QUIET.signal,
      drained: () => drained.promise,
      takeCompleteBody: () => undefined,
      cut: () => undefined,
    };
    const reader = readerOf(counted(), { connection });

    const first = reader.read();
    await new Promise(setImmediate);
    const before = pulled;
    drained.resolve('ready');
    await first;

    expect(before).toBe(0);
    expect(pulled).toBe(1);
  });

  it('T7: shares a turn of the event loop between streams that have much to send', async () => {
    let turns = 0;
    let isReading = true;
    const countTurns = (): void => {
      turns += 1;
      if (isReading) setImmediate(countTurns);
    };
    const turnOf = { bulk: [] as number[], short: [] as number[] };
    async function* busy(
      name: keyof typeof turnOf,
      events: number,
    ): AsyncGenerator<readonly SseEvent[]> {
      for (let event = 0; event < events; event += 1) {
        turnOf[name].push(turns);
        for (const endAt = performance.now() + 1; performance.now() < endAt;);
        yield [{ event: 'delta', data: event }];
      }
    }

    setImmediate(countTurns);
    await Promise.all([textOf(busy('bulk', 40)), textOf(busy('short', 5))]);
    isReading = false;

    const inOneTurn = Map.groupBy(turnOf.bulk, (turn) => turn).values();
    expect(Math.max(...inOneTurn.map(({ length }) => length))).toBeLessThanOrEqual(4);
    expect(turnOf.short.at(-1)).toBeLessThan(turnOf.bulk.at(20) ?? 0);
  });

  it('T7: closes the connection of a client that takes no data, and ends its source', async () => {
    const done: string[] = [];
    async function* endless(): AsyncGenerator<readonly SseEvent[]> {
      try {
        for (;;) yield [{ event: 'delta', data: 1 }];
      } finally {
        done.push('source');
      }
    }
    const connection = {
      headers: {},
      clientDisconnected: QUIET.signal,
      drained: async () => (done.length === 0 ? ('timeout' as const) : ('ready' as const)),
      takeCompleteBody: () => undefined,
      cut: () => void done.push('cut'),
    };
    const onEnd = (how: string): void => void done.push(how);

    const text = await textOf(endless(), { connection, onEnd });
    await new Promise(setImmediate);

    expect(text).toBe('');
    expect(done).toEqual(['cut', 'slow_reader']);
  });

  it('ends with the last event when the source fails', async () => {
    async function* failing(): AsyncGenerator<readonly SseEvent[]> {
      yield [{ event: 'delta', data: 1 }];
      throw new Error('secret');
    }

    const text = await textOf(failing());

    expect(text).toBe('event: delta\ndata: 1\n\nevent: error\ndata: "failed"\n\n');
  });

  it('ends without a last event when the client has disconnected', async () => {
    async function* failing(): AsyncGenerator<readonly SseEvent[]> {
      yield [{ event: 'delta', data: 1 }];
      throw new Error('secret');
    }

    expect(await textOf(failing(), { toLastEvents: () => [] })).not.toContain('error');
  });

  it('ends cleanly when even the last event cannot be made or written', async () => {
    const fail = (): never => {
      throw new Error('log away');
    };
    const ended: string[] = [];

    const text = await textOf(eventsOf(1n), {
      toLastEvents: fail,
      onEnd: (how) => void ended.push(how),
    });

    expect(text).toBe('');
    expect(ended).toEqual(['complete']);
  });

  it('ends with the last event when data is not JSON', async () => {
    expect(await textOf(eventsOf(1n))).toBe('event: error\ndata: "failed"\n\n');
  });

  it('runs the end once and finishes the source once', async () => {
    const ended: string[] = [];
    let finished = 0;
    async function* source(): AsyncGenerator<readonly SseEvent[]> {
      try {
        yield [{ event: 'delta', data: 1 }];
      } finally {
        finished += 1;
      }
    }

    await textOf(source(), { onEnd: (how) => void ended.push(how) });

    expect(ended).toEqual(['complete']);
    expect(finished).toBe(1);
  });

  it.each([0, 1])('finishes the source when the reader cancels after %d events', async (events) => {
    const ended: string[] = [];
    let finished = 0;
    const source = eventsOf(1, 2, 3);
    const iterable: AsyncIterable<readonly SseEvent[]> = {
      [Symbol.asyncIterator]: () => ({
        next: () => source.next(),
        async return() {
          finished += 1;
          return { done: true as const, value: undefined };
        },
      }),
    };
    const reader = readerOf(iterable, { onEnd: (how) => void ended.push(how) });

    for (let read = 0; read < events; read += 1) await reader.read();
    await reader.cancel();
    await new Promise(setImmediate);

    expect(ended).toEqual(['cancelled']);
    expect(finished).toBe(events === 0 ? 0 : 1);
  });

  it('does not wait for a source that hangs when the reader cancels', async () => {
    const ended: string[] = [];
    async function* hanging(): AsyncGenerator<readonly SseEvent[]> {
      await never();
      yield [{ event: 'delta', data: 1 }];
    }
    const reader = readerOf(hanging(), { onEnd: (how) => void ended.push(how) });

    const pending = reader.read();
    await reader.cancel();

    expect(await pending).toMatchObject({ done: true });
    expect(ended).toEqual(['cancelled']);
  });

  it('survives a source that fails between two comments', async () => {
    const failure = Promise.withResolvers<never>();
    async function* failing(): AsyncGenerator<readonly SseEvent[]> {
      await failure.promise;
      yield [{ event: 'delta', data: 1 }];
    }
    const reader = readerOf(failing(), { heartbeatMs: 5 });

    await reader.read();
    failure.reject(new Error('late'));
    await new Promise(setImmediate);
    const next = await reader.read();

    expect(new TextDecoder().decode(next.value)).toContain('event: error');
  });

  it('survives a source whose clean-up fails', async () => {
    const source: AsyncIterable<readonly SseEvent[]> = {
      [Symbol.asyncIterator]: () => ({
        next: async () => ({ done: true as const, value: undefined }),
        return: () => Promise.reject(new Error('clean-up')),
      }),
    };

    expect(await textOf(source)).toBe('');
  });
});
