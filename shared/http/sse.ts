import type { HttpResponseInit } from '@azure/functions';
import type { Connection } from './connections.ts';

/** One event of a stream. */
export interface SseEvent {
  readonly event: string;
  readonly data: unknown;
}

export interface SseOptions {
  /** Longest silence before a comment is sent. */
  readonly heartbeatMs: number;
  /** Where the host streams, the reader's pace becomes ours. */
  readonly connection: Connection | undefined;
}

const HEARTBEAT = ': keep-alive\n\n';

/**
 * Server-sent events out of a source that must not throw. Nothing is read from the source before
 * the client has room for it, so a slow reader slows the model instead of filling memory.
 */
export function sseResponse(
  source: AsyncIterable<SseEvent>,
  options: SseOptions,
): HttpResponseInit {
  return {
    status: 200,
    headers: {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    },
    body: toStream(frames(source, options.heartbeatMs), options.connection),
  };
}

function toStream(
  texts: AsyncGenerator<string, void, void>,
  connection: Connection | undefined,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        await connection?.drained();
        const { done, value } = await texts.next();
        if (done === true) controller.close();
        else controller.enqueue(encoder.encode(value));
      },
      async cancel() {
        await texts.return();
      },
    },
    { highWaterMark: 0 },
  );
}

async function* frames(
  source: AsyncIterable<SseEvent>,
  heartbeatMs: number,
): AsyncGenerator<string, void, void> {
  const iterator = source[Symbol.asyncIterator]();
  let next = iterator.next();
  try {
    for (;;) {
      const step = await orSilence(next, heartbeatMs);
      if (step === 'silence') {
        yield HEARTBEAT;
        continue;
      }
      if (step.done === true) return;
      yield `event: ${step.value.event}\ndata: ${JSON.stringify(step.value.data)}\n\n`;
      next = iterator.next();
    }
  } finally {
    await iterator.return?.();
  }
}

/** The promise's value, or `silence` when it takes longer than the given time. */
export async function orSilence<T>(promise: Promise<T>, ms: number): Promise<T | 'silence'> {
  const silence = Promise.withResolvers<'silence'>();
  const timer = setTimeout(() => silence.resolve('silence'), ms);
  try {
    return await Promise.race([promise, silence.promise]);
  } finally {
    clearTimeout(timer);
  }
}
