import type { Readable } from 'node:stream';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import type { ModelEvent } from '../model.ts';
import { readErrorBody, safeCode } from './map-error.ts';
import { chunkSchema, type CompletionChunk, readPlainChunk } from './schema.ts';
import {
  type AccumulatorOptions,
  type ChunkEffect,
  createStreamAccumulator,
  type StreamAccumulator,
} from './stream-accumulator.ts';
import {
  filteredContent,
  interruptedResponse,
  invalidResponse,
  UpstreamCause,
  UpstreamFailure,
} from '../upstream-error.ts';
import { parseJson } from '../../json.ts';

/** `progress` stands for tokens that are not shown, such as reasoning: the endpoint is alive. */
export type EndpointEvent = ModelEvent | { readonly type: 'progress'; readonly tokens: number };

export interface ReadStreamOptions extends AccumulatorOptions {
  /** Cap on one line and on the data of one event, in characters. */
  readonly maxLineBytes: number;
}

/** How long the rest of a body may take after its response is complete, in milliseconds. */
const DRAIN_MS = 1_000;
/** How long usage may come after the finish reason, in milliseconds: some endpoints never close. */
const USAGE_WAIT_MS = 250;

/**
 * The events of a streamed completion. It reads the next bytes only on demand. The response is
 * complete only where the endpoint sent a finish reason; neither the end of the body nor `[DONE]`
 * proves that. After the finish reason nothing can void the response.
 *
 * @throws UpstreamFailure
 */
export async function* readStream(
  body: Readable,
  options: ReadStreamOptions,
): AsyncGenerator<EndpointEvent, void> {
  const parser = createEventParser(options.maxLineBytes);
  const accumulator = createStreamAccumulator(options);
  const source = createByteSource(body);
  let isComplete = false;
  try {
    while (!(accumulator.hasFinished() && accumulator.hasUsage())) {
      const bytes = await source.read(accumulator.hasFinished());
      if (bytes === undefined) break;
      const { deltas, isLast, failure } = addEvents(parser.feed(bytes), accumulator);
      // What arrived before a fault is delivered before it is reported.
      yield* deltas;
      if (failure !== undefined) throw failure;
      if (isLast || parser.hasOverflowed()) break;
    }
    if (!accumulator.hasFinished()) {
      if (parser.hasOverflowed()) throw invalidResponse('A line or event is longer than the cap');
      throw interruptedResponse('The stream ended without a finish reason');
    }
    const rest = accumulator.flush();
    if (rest.text !== '') yield toDelta([rest.text], rest);
    const response = accumulator.response();
    isComplete = true;
    void source.drain();
    yield { type: 'done', response };
  } finally {
    if (!isComplete) source.close();
  }
}

/** What one read adds to a response. */
interface ReadEffect {
  readonly deltas: readonly EndpointEvent[];
  /** The stream has said that it is over. */
  readonly isLast: boolean;
  readonly failure: UpstreamFailure | undefined;
}

/** Deltas of one kind that arrive together become one, because each costs every layer some work. */
function addEvents(
  events: readonly EventSourceMessage[],
  accumulator: StreamAccumulator,
): ReadEffect {
  const deltas: EndpointEvent[] = [];
  let pieces: string[] = [];
  let kind: ChunkEffect | undefined;
  let hiddenTokens = 0;
  let isLast = false;
  let failure: UpstreamFailure | undefined;
  function flush(): void {
    if (kind !== undefined) deltas.push(toDelta(pieces, kind));
    pieces = [];
  }
  try {
    for (const event of events) {
      isLast = event.data.trim() === '[DONE]';
      if (isLast) break;
      const chunk = accumulator.hasFinished() ? readLateEvent(event) : readEvent(event);
      const effect = chunk && accumulator.add(chunk);
      if (effect === undefined || effect.text === '') {
        // A chunk of hidden reasoning is about one token.
        hiddenTokens += Number(effect?.progress ?? false);
        continue;
      }
      if (kind?.isRefusal !== effect.isRefusal) flush();
      kind = effect;
      pieces.push(effect.text);
    }
  } catch (thrown) {
    if (!(thrown instanceof UpstreamFailure)) throw thrown;
    failure = thrown;
  }
  flush();
  if (hiddenTokens > 0) deltas.unshift({ type: 'progress', tokens: hiddenTokens });
  return { deltas, isLast, failure };
}

function toDelta(pieces: readonly string[], { isRefusal }: ChunkEffect): EndpointEvent {
  return {
    type: 'text-delta',
    text: pieces.join(''),
    ...(isRefusal === undefined ? {} : { isRefusal }),
    ...(pieces.length > 1 && { pieces }),
  };
}

/** Reads a body on demand. */
function createByteSource(body: Readable) {
  const chunks: AsyncIterator<Uint8Array, unknown> = body[Symbol.asyncIterator]();
  let usageWait: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;

  function waitForUsage(): Promise<void> {
    usageWait ??= new Promise((resolve) => (timer = setTimeout(resolve, USAGE_WAIT_MS)));
    return usageWait;
  }
  async function readNext(): Promise<Uint8Array | undefined> {
    const { done, value } = await chunks.next();
    return done === true ? undefined : value;
  }

  return {
    /**
     * The next bytes; undefined at the end. After the finish reason a broken connection and a
     * silent one are ends too.
     */
    async read(hasFinished: boolean): Promise<Uint8Array | undefined> {
      if (hasFinished) {
        const next = readNext().catch(() => undefined);
        return (await Promise.race([next, waitForUsage()])) ?? undefined;
      }
      try {
        return await readNext();
      } catch {
        throw interruptedResponse('The connection broke in the middle of the stream');
      }
    },
    /** Reads the rest of the body, so that the connection can be reused. */
    async drain(): Promise<void> {
      clearTimeout(timer);
      // A body that never ends costs its connection, but does not keep the process alive.
      const drainTimer = hasArrived(body)
        ? undefined
        : setTimeout(() => body.destroy(), DRAIN_MS).unref();
      try {
        while ((await chunks.next()).done !== true);
      } catch {
        // The response is complete already.
      } finally {
        clearTimeout(drainTimer);
      }
    },
    close(): void {
      clearTimeout(timer);
      body.destroy();
    },
  };
}

/** Whether the whole body is here. */
function hasArrived(body: Readable): boolean {
  return 'complete' in body && body.complete === true;
}

/** Turns bytes into events. */
export interface EventParser {
  /** The events that these bytes complete. */
  feed(bytes: Uint8Array): readonly EventSourceMessage[];
  /** Whether a line or an event was longer than the cap: the parser has stopped there. */
  hasOverflowed(): boolean;
}

export function createEventParser(maxLineBytes: number): EventParser {
  // A streaming decoder joins characters that were split between chunks.
  const decoder = new TextDecoder();
  let events: EventSourceMessage[] = [];
  let isOverflow = false;
  const parser = createParser({
    maxBufferSize: maxLineBytes,
    onEvent(event) {
      // An event that arrives in one piece is never buffered, so the parser does not check it.
      isOverflow ||= event.data.length > maxLineBytes;
      if (!isOverflow) events.push(event);
    },
    onError(error) {
      isOverflow ||= error.type === 'max-buffer-size-exceeded';
    },
  });
  return {
    hasOverflowed: () => isOverflow,
    feed(bytes) {
      events = [];
      if (!isOverflow) parser.feed(decoder.decode(bytes, { stream: true }));
      return events;
    },
  };
}

/** The chunk of an event; undefined where it carries no part of the completion. */
function readEvent({ event, data }: EventSourceMessage): CompletionChunk | undefined {
  if (event === 'error') throw reportedError(parseJson(data));
  // Other named events, such as pings and vendor extensions, are not part of the completion.
  if (event !== undefined && event !== 'message') return undefined;
  if (data.trim() === '') return undefined;
  const value = parseJson(data);
  if (value === null) return undefined;
  const plain = readPlainChunk(value);
  if (plain !== undefined) return plain;
  const parsed = chunkSchema.safeParse(value);
  if (!parsed.success) throw invalidResponse('A chunk of the stream is not a chat completion');
  const { error } = parsed.data;
  if (error !== undefined && error !== null) throw reportedError(error);
  return parsed.data;
}

/** An event after the finish reason: only a valid chunk counts. */
function readLateEvent(event: EventSourceMessage): CompletionChunk | undefined {
  try {
    return readEvent(event);
  } catch {
    return undefined;
  }
}

function reportedError(error: unknown): UpstreamFailure {
  const { code, categories } = readErrorBody(error);
  return code === 'content_filter'
    ? filteredContent(categories, new UpstreamCause('The content filter ended the stream'))
    : interruptedResponse('The endpoint reported an error in the stream', safeCode(code));
}
