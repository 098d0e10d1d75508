import type { Readable } from 'node:stream';
import { chunkSchema, type CompletionChunk } from './schema.ts';
import { readErrorBody, safeCode } from './error-body.ts';
import { filteredContent, interruptedAnswer, invalidAnswer } from '../upstream-error.ts';
import type { ModelEvent } from '../model.ts';
import { parseJson } from './read-completion.ts';
import { createSseParser, type SseEvent } from './sse-parser.ts';
import { createStreamCollector, type CollectorOptions } from './read-stream.ts';
import { UpstreamCause, type UpstreamFailure } from '../upstream-failure.ts';

/** Besides what the model says: a token that is not shown, which still proves that it is alive. */
export type EndpointEvent = ModelEvent | { readonly type: 'progress' };

export interface ReadStreamOptions extends CollectorOptions {
  readonly maxLineBytes: number;
}

const DRAIN_MS = 1_000;
const PROGRESS: EndpointEvent = { type: 'progress' };

/**
 * The events of a streamed completion. It reads on only when asked, and it ends well only where the
 * upstream said why it stopped: an end of the bytes, with or without `[DONE]`, proves nothing.
 */
export async function* readStream(
  body: Readable,
  options: ReadStreamOptions,
): AsyncGenerator<EndpointEvent, void> {
  const parser = createSseParser(options);
  const collector = createStreamCollector(options);
  const chunks: Chunks = body[Symbol.asyncIterator]();
  let isWhole = false;
  try {
    for (let isOver = false; !isOver;) {
      // Once the reason is there the answer is whole, however the connection ends.
      const bytes = await readSome(chunks).catch((thrown: unknown) => {
        if (!collector.hasFinished()) throw thrown;
      });
      if (bytes === undefined) break;
      for (const event of parser.push(bytes)) {
        isOver = event.data === '[DONE]';
        if (isOver) break;
        const chunk = readChunk(event);
        if (chunk === undefined) continue;
        const { text, progress } = collector.add(chunk);
        if (text !== '') yield { type: 'text', text };
        else if (progress) yield PROGRESS;
      }
    }
    if (!collector.hasFinished())
      throw interruptedAnswer('The stream ended without a finish reason');
    void drain(body, chunks);
    isWhole = true;
    yield { type: 'answer', answer: collector.answer() };
  } finally {
    // A stream that failed or was left has nothing that is still wanted.
    if (!isWhole) body.destroy();
  }
}

type Chunks = AsyncIterator<Uint8Array, unknown>;

/** Reads the end of the body, so that the connection can serve the next call. */
async function drain(body: Readable, chunks: Chunks): Promise<void> {
  // An upstream that never ends its body loses the connection, without keeping the process alive.
  const timer = setTimeout(() => body.destroy(), DRAIN_MS).unref();
  try {
    while ((await chunks.next()).done !== true);
  } catch {
    // The answer is whole: how its connection ends matters to nobody.
  } finally {
    clearTimeout(timer);
  }
}

async function readSome(chunks: Chunks): Promise<Uint8Array | undefined> {
  try {
    const { done, value } = await chunks.next();
    return done === true ? undefined : value;
  } catch {
    throw interruptedAnswer('The connection broke in the middle of the stream');
  }
}

function readChunk({ name, data }: SseEvent): CompletionChunk | undefined {
  if (name === 'error') throw reportedError(parseJson(data));
  // Events with names of their own (pings, vendor extensions) are not part of the completion.
  if (name !== '' && name !== 'message') return undefined;
  const parsed = chunkSchema.safeParse(parseJson(data));
  if (!parsed.success) throw invalidAnswer('A chunk of the stream is no chat completion');
  const { error, choices, usage } = parsed.data;
  if (error !== undefined && error !== null) throw reportedError(error);
  if (!choices && !usage) throw invalidAnswer('A chunk of the stream has no choices');
  return parsed.data;
}

function reportedError(error: unknown): UpstreamFailure {
  const { code, categories } = readErrorBody(error);
  return code === 'content_filter'
    ? filteredContent(categories, new UpstreamCause('The content filter ended the stream'))
    : interruptedAnswer('The upstream reported an error in the stream', safeCode(code));
}
