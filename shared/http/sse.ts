import type { ClientConnection } from './client-connection.ts';
import type { PlainResponse } from './responses.ts';

/** One event of a stream. */
export interface SseEvent {
  /** Absent in dialects whose events are told apart by their data. */
  readonly event?: string;
  readonly data: unknown;
}

/** Data that is sent as these letters: the end mark of OpenAI's streams is no JSON. */
export const DONE = Symbol('[DONE]');

export interface SseOptions {
  /** Longest silence before a comment is sent. */
  readonly heartbeatMs: number;
  /** Where the host streams, the reader's pace becomes ours. */
  readonly connection: ClientConnection | undefined;
  /** Ends the wait for a reader that does not read. */
  readonly signal: AbortSignal;
  /** The last event after the source failed; undefined when nobody is there to read it. */
  readonly toLastEvent: (thrown: unknown) => SseEvent | undefined;
  /** Called once however the stream ends; cancelled means that the rest is not wanted. */
  readonly onEnd: (how: 'complete' | 'cancelled') => void;
}

const HEARTBEAT = ': keep-alive\n\n';
/** No line ends for the format, but for the line readers of some languages. */
const UNICODE_LINE_SEPARATORS = /[\u0085\u2028\u2029]/g;

/**
 * Server-sent events out of a source. Nothing is read from the source before the client has room
 * for it, so a slow reader slows the model instead of filling memory. The body never fails: the
 * platform would leave the connection open.
 */
export function sseResponse(source: AsyncIterable<SseEvent>, options: SseOptions): PlainResponse {
  return {
    status: 200,
    headers: {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    },
    body: toStream(frames(source, options), options),
  };
}

function toStream(
  texts: AsyncGenerator<string, void, void>,
  { connection, signal, onEnd }: SseOptions,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        await connection?.drained(signal);
        const { done, value } = await texts.next().catch(() => ({ done: true, value: '' }));
        if (done !== true) return controller.enqueue(encoder.encode(value ?? ''));
        controller.close();
        onEnd('complete');
      },
      cancel() {
        onEnd('cancelled');
        discard(texts);
      },
    },
    { highWaterMark: 0 },
  );
}

async function* frames(
  source: AsyncIterable<SseEvent>,
  { heartbeatMs, toLastEvent }: SseOptions,
): AsyncGenerator<string, void, void> {
  const iterator = source[Symbol.asyncIterator]();
  try {
    let next = iterator.next();
    for (;;) {
      const step = await raceTimeout(next, heartbeatMs);
      if (step === 'silence') {
        yield HEARTBEAT;
        continue;
      }
      if (step.done === true) return;
      yield toFrame(step.value);
      next = iterator.next();
    }
  } catch (thrown) {
    const last = toLastEvent(thrown);
    if (last !== undefined) yield toFrame(last);
  } finally {
    discard(iterator);
  }
}

function toFrame({ event, data }: SseEvent): string {
  const json =
    data === DONE ? '[DONE]' : JSON.stringify(data).replaceAll(UNICODE_LINE_SEPARATORS, escapeUnit);
  const name = event === undefined ? '' : `event: ${event}\n`;
  return `${name}data: ${json}\n\n`;
}

function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** Tells an iterator that nobody reads on, without waiting for work that may hang. */
export function discard(iterator: AsyncIterator<unknown>): void {
  iterator.return?.().catch(() => undefined);
}

/** The promise's value, or `silence` when it takes longer than the given time. */
export async function raceTimeout<T>(promise: Promise<T>, ms: number): Promise<T | 'silence'> {
  const silence = Promise.withResolvers<'silence'>();
  const timer = setTimeout(() => silence.resolve('silence'), ms);
  try {
    return await Promise.race([promise, silence.promise]);
  } finally {
    clearTimeout(timer);
  }
}
