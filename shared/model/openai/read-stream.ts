import type { Readable } from 'node:stream';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import type { ModelEvent } from '../model.ts';
import { readErrorBody, safeCode } from './map-error.ts';
import { chunkSchema, type CompletionChunk } from './schema.ts';
import { type AccumulatorOptions, createStreamAccumulator } from './stream-accumulator.ts';
import {
  filteredContent,
  interruptedResponse,
  invalidResponse,
  UpstreamCause,
  type UpstreamFailure,
} from '../upstream-error.ts';
import { parseJson } from '../../json.ts';

/** `progress` stands for a token that is not shown, such as reasoning: the endpoint is alive. */
export type EndpointEvent = ModelEvent | { readonly type: 'progress' };

export interface ReadStreamOptions extends AccumulatorOptions {
  /** Cap on one line and on the data of one event, in characters. */
  readonly maxLineBytes: number;
}

/** How long the rest of a body may take after its response is complete, in milliseconds. */
const DRAIN_MS = 1_000;
const PROGRESS: EndpointEvent = { type: 'progress' };

/**
 * The events of a streamed completion. It reads the next bytes only on demand. The response is
 * complete only where the endpoint sent a finish reason; neither the end of the body nor `[DONE]`
 * proves that.
 *
 * @throws UpstreamFailure
 */
export async function* readStream(
  body: Readable,
  options: ReadStreamOptions,
): AsyncGenerator<EndpointEvent, void> {
  const parse = createEventParser(options.maxLineBytes);
  const accumulator = createStreamAccumulator(options);
  const chunks: Chunks = body[Symbol.asyncIterator]();
  let isComplete = false;
  try {
    for (let isOver = false; !isOver;) {
      // After the finish reason a broken connection no longer matters.
      const bytes = await readChunk(chunks).catch((thrown: unknown) => {
        if (!accumulator.hasFinished()) throw thrown;
      });
      if (bytes === undefined) break;
      for (const event of parse(bytes)) {
        isOver = event.data === '[DONE]';
        if (isOver) break;
        const chunk = readEvent(event);
        if (chunk === undefined) continue;
        const { text, progress } = accumulator.add(chunk);
        if (text !== '') yield { type: 'text-delta', text };
        else if (progress) yield PROGRESS;
      }
    }
    if (!accumulator.hasFinished()) {
      throw interruptedResponse('The stream ended without a finish reason');
    }
    void drain(body, chunks);
    isComplete = true;
    yield { type: 'done', response: accumulator.response() };
  } finally {
    if (!isComplete) body.destroy();
  }
}

type Chunks = AsyncIterator<Uint8Array, unknown>;

/** Reads the rest of the body, so that the connection can be reused. */
async function drain(body: Readable, chunks: Chunks): Promise<void> {
  // A body that never ends costs its connection, but does not keep the process alive.
  const timer = setTimeout(() => body.destroy(), DRAIN_MS).unref();
  try {
    while ((await chunks.next()).done !== true);
  } catch {
    // The response is complete already.
  } finally {
    clearTimeout(timer);
  }
}

async function readChunk(chunks: Chunks): Promise<Uint8Array | undefined> {
  try {
    const { done, value } = await chunks.next();
    return done === true ? undefined : value;
  } catch {
    throw interruptedResponse('The connection broke in the middle of the stream');
  }
}

/**
 * Returns a function from bytes to the events that they complete.
 *
 * @throws UpstreamFailure upstream_invalid where a line or an event is longer than the cap
 */
export function createEventParser(
  maxLineBytes: number,
): (bytes: Uint8Array) => readonly EventSourceMessage[] {
  // A streaming decoder joins characters that were split between chunks.
  const decoder = new TextDecoder();
  let events: EventSourceMessage[] = [];
  let isOverflow = false;
  const parser = createParser({
    maxBufferSize: maxLineBytes,
    onEvent(event) {
      events.push(event);
      // An event that arrives in one piece is never buffered, so the parser does not check it.
      isOverflow ||= event.data.length > maxLineBytes;
    },
    onError(error) {
      isOverflow ||= error.type === 'max-buffer-size-exceeded';
    },
  });
  return (bytes) => {
    events = [];
    parser.feed(decoder.decode(bytes, { stream: true }));
    if (isOverflow) throw invalidResponse('A line or event is longer than the cap');
    return events;
  };
}

function readEvent({ event, data }: EventSourceMessage): CompletionChunk | undefined {
  if (event === 'error') throw reportedError(parseJson(data));
  // Other named events, such as pings and vendor extensions, are not part of the completion.
  if (event !== undefined && event !== 'message') return undefined;
  const parsed = chunkSchema.safeParse(parseJson(data));
  if (!parsed.success) throw invalidResponse('A chunk of the stream is not a chat completion');
  const { error, choices, usage } = parsed.data;
  if (error !== undefined && error !== null) throw reportedError(error);
  if (!choices && !usage) throw invalidResponse('A chunk of the stream has no choices');
  return parsed.data;
}

function reportedError(error: unknown): UpstreamFailure {
  const { code, categories } = readErrorBody(error);
  return code === 'content_filter'
    ? filteredContent(categories, new UpstreamCause('The content filter ended the stream'))
    : interruptedResponse('The endpoint reported an error in the stream', safeCode(code));
}
