import type { ClientConnection } from './client-connection.ts';
import { toJsonLine } from '../json.ts';
import { DONE, type SseEvent, type StreamFormat } from '../protocols/protocol.ts';
import type { PlainResponse } from './responses.ts';

export interface SseOptions {
  readonly format?: StreamFormat;
  /** More headers of the response. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The longest silence before a comment is sent. */
  readonly heartbeatMs: number;
  /** Applies the reader's back-pressure to the source, if the host streams. */
  readonly connection: ClientConnection | undefined;
  /** Ends the wait for a reader that stopped reading. */
  readonly signal: AbortSignal;
  /** A client that takes no data for so long is disconnected. */
  readonly slowReaderTimeoutMs: number;
  /** The last events after the source failed; none if the client has disconnected. */
  readonly toLastEvents: (thrown: unknown) => readonly SseEvent[] | Promise<readonly SseEvent[]>;
  /** Called once at the end of the stream. */
  readonly onEnd: (how: StreamEnd) => void;
}

/** cancelled: the client does not want the rest; slow_reader: the client was disconnected. */
export type StreamEnd = 'complete' | 'cancelled' | 'slow_reader';

/** How each format is labelled, kept alive and written. Clients of JSON lines skip empty lines. */
const FORMATS = {
  sse: {
    contentType: 'text/event-stream; charset=utf-8',
    heartbeat: ': keep-alive\n\n',
    encode: toFrame,
  },
  'json-lines': {
    contentType: 'application/jsonl; charset=utf-8',
    heartbeat: '\n',
    encode: ({ data }: SseEvent): string => `${toJsonLine(data)}\n`,
  },
} as const;

/**
 * Writes a source as server-sent events; those that it yields together are one write. It reads from
 * the source only when the socket can take more, so that a slow reader slows the model down instead
 * of filling memory. The body never fails: the platform would leave the connection of a failed body
 * open.
 */
export function sseResponse(
  source: AsyncIterable<readonly SseEvent[]>,
  options: SseOptions,
): PlainResponse {
  return {
    status: 200,
    headers: {
      'content-type': FORMATS[options.format ?? 'sse'].contentType,
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
      ...options.headers,
    },
    body: toStream(frames(source, options), options),
  };
}

/** The texts of the bodies below, for a writer that needs no web stream. */
const texts = new WeakMap<object, AsyncIterable<string>>();

/** The body as texts; undefined if it is not the body of a response above. Read either, not both. */
export function textsOf(body: unknown): AsyncIterable<string> | undefined {
  return typeof body === 'object' && body !== null ? texts.get(body) : undefined;
}

function toStream(
  source: AsyncGenerator<string, void, void>,
  options: SseOptions,
): ReadableStream<Uint8Array> {
  const paced = createPacedTexts(source, options);
  const encoder = new TextEncoder();
  const stream = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await paced.next();
        if (done === true) controller.close();
        else controller.enqueue(encoder.encode(value));
      },
      cancel: () => void paced.return(),
    },
    { highWaterMark: 0 },
  );
  texts.set(stream, { [Symbol.asyncIterator]: () => paced });
  return stream;
}

/**
 * How long all streams of this process together may work in one turn of the event loop. An endpoint
 * that sends faster than a model writes would otherwise delay every other request by the time that
 * the buffers of its connections take to fill.
 */
const TURN_MS = 1;

/** Streams that have more to send than fits into a turn, in their order. */
const waitingForTurn: (() => void)[] = [];
let turnEndsAt = 0;
let isTurnRunning = false;

/** Undefined if the next event can be sent in this turn; otherwise resolves in a later one. */
function takeTurn(): Promise<void> | undefined {
  if (!isTurnRunning) startTurn();
  if (waitingForTurn.length === 0 && performance.now() < turnEndsAt) return undefined;
  return new Promise((resolve) => {
    waitingForTurn.push(resolve);
  });
}

/** Lets the next stream send its event, if there is time left. */
function passTurn(): void {
  if (waitingForTurn.length > 0 && performance.now() < turnEndsAt) waitingForTurn.shift()?.();
}

function startTurn(): void {
  isTurnRunning = true;
  turnEndsAt = performance.now() + TURN_MS;
  setImmediate(endTurn);
}

function endTurn(): void {
  isTurnRunning = false;
  const next = waitingForTurn.shift();
  if (next === undefined) return;
  startTurn();
  next();
}

/** The texts of a stream at the pace of its reader. Never fails. */
function createPacedTexts(
  source: AsyncGenerator<string, void, void>,
  { connection, signal, slowReaderTimeoutMs: timeoutMs, onEnd }: SseOptions,
) {
  const done = { done: true, value: undefined } as const;
  return {
    async next(): Promise<IteratorResult<string, undefined>> {
      if ((await connection?.drained({ signal, timeoutMs })) === 'timeout') {
        connection?.cut();
        onEnd('slow_reader');
        discard(source);
        return done;
      }
      const turn = takeTurn();
      if (turn !== undefined) await turn;
      const next = await source.next().catch(() => done);
      passTurn();
      if (next.done !== true) return next;
      onEnd('complete');
      return done;
    },
    async return(): Promise<IteratorResult<string, undefined>> {
      onEnd('cancelled');
      discard(source);
      return done;
    },
  };
}

async function* frames(
  source: AsyncIterable<readonly SseEvent[]>,
  { heartbeatMs, toLastEvents, format = 'sse' }: SseOptions,
): AsyncGenerator<string, void, void> {
  const { heartbeat, encode } = FORMATS[format];
  const iterator = source[Symbol.asyncIterator]();
  const silence = createSilenceTimer(heartbeatMs);
  try {
    let pending = iterator.next();
    for (;;) {
      const next = await silence.race(pending);
      if (next === 'timeout') {
        yield heartbeat;
        continue;
      }
      if (next.done === true) return;
      const text = next.value.map(encode).join('');
      if (text !== '') yield text;
      pending = iterator.next();
    }
  } catch (thrown) {
    const last = await toLastEvents(thrown);
    if (last.length > 0) yield last.map(encode).join('');
  } finally {
    silence.dispose();
    discard(iterator);
  }
}

/** Races the events of a stream with its longest silence; one timer serves all of them. */
function createSilenceTimer(ms: number) {
  let onSilence = (): void => undefined;
  const timer = setTimeout(() => onSilence(), ms);
  return {
    race: <T>(promise: Promise<T>): Promise<T | 'timeout'> =>
      new Promise((resolve, reject) => {
        onSilence = () => resolve('timeout');
        timer.refresh();
        promise.then(resolve, reject);
      }),
    dispose: () => clearTimeout(timer),
  };
}

function toFrame({ event, data }: SseEvent): string {
  const json = data === DONE ? '[DONE]' : toJsonLine(data);
  const name = event === undefined ? '' : `event: ${event}\n`;
  return `${name}data: ${json}\n\n`;
}

/** Closes an iterator without waiting for work that may hang. */
export function discard(iterator: AsyncIterator<unknown>): void {
  iterator.return?.().catch(() => undefined);
}
