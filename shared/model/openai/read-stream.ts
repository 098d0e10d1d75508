import type { Readable } from 'node:stream';
import type { ModelResponse, ModelEvent, ModelToolCall } from '../model.ts';
import { readErrorBody, safeCode } from './map-error.ts';
import { type CompletionContext, toModelResponse, type RawCompletion } from './read-response.ts';
import { chunkSchema, type CompletionChunk, type CompletionUsage } from './schema.ts';
import { createSseParser, type SseEvent } from './sse-parser.ts';
import {
  filteredContent,
  interruptedAnswer,
  invalidAnswer,
  UpstreamCause,
  type UpstreamFailure,
} from '../upstream-error.ts';
import { parseJson } from '../../json.ts';

/** Besides what the model says: a token that is not shown, which still proves that it is alive. */
export type EndpointEvent = ModelEvent | { readonly type: 'progress' };

export interface ReadStreamOptions extends AccumulatorOptions {
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
  const collector = createStreamAccumulator(options);
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

/** What one chunk added: visible text, progress that is not shown, or nothing. */
export interface ChunkEffect {
  readonly text: string;
  readonly progress: boolean;
}

/** Puts the chunks of a stream together. */
export interface StreamAccumulator {
  add(chunk: CompletionChunk): ChunkEffect;
  /** Whether the upstream said why it stopped. */
  hasFinished(): boolean;
  answer(): ModelResponse;
}

export interface AccumulatorOptions extends CompletionContext {
  /**
   * Tool arguments beyond this many characters are refused. Text beyond it is passed on and no
   * longer kept: a long answer to a patient reader must not fill the memory.
   */
  readonly maxChars: number;
}

const NOTHING: ChunkEffect = { text: '', progress: false };

type Delta = NonNullable<NonNullable<CompletionChunk['choices']>[number]['delta']>;

export function createStreamAccumulator(options: AccumulatorOptions): StreamAccumulator {
  const calls = new Map<number, { id: string; name: string; arguments: string }>();
  const text = createTextJoiner(options.maxChars);
  let chars = 0;
  let finishReason: string | undefined;
  let model: string | undefined;
  let usage: CompletionUsage;

  function count(added: number): void {
    chars += added;
    if (chars > options.maxChars) throw invalidAnswer('The tool calls are longer than the cap');
  }

  function addDelta(delta: Delta): ChunkEffect {
    const added = delta.content ?? delta.refusal;
    if (typeof added === 'string') text.add(added);
    for (const part of delta.tool_calls ?? []) {
      const call = calls.get(part.index) ?? { id: '', name: '', arguments: '' };
      call.id ||= part.id ?? '';
      call.name ||= part.function?.name ?? '';
      call.arguments += part.function?.arguments ?? '';
      calls.set(part.index, call);
      // Empty parts count as well, or their number would not be bounded.
      count((part.function?.arguments?.length ?? 0) + 1);
    }
    const unseen = delta.tool_calls?.length ?? delta.reasoning_content ?? delta.reasoning;
    return { text: added ?? '', progress: Boolean(added) || Boolean(unseen) };
  }

  function toolCalls(): ModelToolCall[] {
    const inOrder = [...calls].sort(([left], [right]) => left - right).map(([, call]) => call);
    if (finishReason !== 'length' && inOrder.some((call) => call.id === '' || call.name === '')) {
      throw invalidAnswer('A tool call has no id or no name');
    }
    return inOrder;
  }

  return {
    add(chunk) {
      model ??= chunk.model;
      if (chunk.usage !== null && chunk.usage !== undefined) usage = chunk.usage;
      const choice = chunk.choices?.find(({ index }) => index === undefined || index === 0);
      if (choice === undefined) return NOTHING;
      if (choice.finish_reason) finishReason = choice.finish_reason;
      return choice.delta ? addDelta(choice.delta) : NOTHING;
    },
    hasFinished: () => finishReason !== undefined,
    answer() {
      const raw: RawCompletion = {
        text: text.whole(),
        textChars: text.chars(),
        toolCalls: toolCalls(),
        finishReason: finishReason ?? '',
        model,
        usage,
      };
      return toModelResponse(raw, options);
    },
  };
}

/** Pieces that are joined at once: few enough to copy cheaply, many enough to do so rarely. */
const PIECES_PER_SEGMENT = 512;

/**
 * Joins a text from very many small pieces. Added up with `+`, each piece stays an object of its
 * own until the end: a long answer would take ten times the memory of its text.
 */
function createTextJoiner(maxChars: number) {
  let segments: string[] = [];
  let pieces: string[] = [];
  let chars = 0;
  return {
    chars: () => chars,
    add(piece: string): void {
      chars += piece.length;
      if (chars > maxChars) {
        segments = [];
        pieces = [''];
        return;
      }
      if (pieces.push(piece) < PIECES_PER_SEGMENT) return;
      segments.push(pieces.join(''));
      pieces = [];
    },
    /** Undefined where no piece was added, not even an empty one. */
    whole(): string | undefined {
      return segments.length + pieces.length === 0 ? undefined : [...segments, ...pieces].join('');
    },
  };
}
