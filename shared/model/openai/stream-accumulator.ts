import type { ModelResponse, ModelToolCall } from '../model.ts';
import { type CompletionContext, toModelResponse } from './read-response.ts';
import type { CompletionChunk, CompletionUsage } from './schema.ts';
import { invalidResponse } from '../upstream-error.ts';

/** What one chunk adds: visible text, or progress that is not shown. */
export interface ChunkEffect {
  readonly text: string;
  readonly isRefusal?: true;
  readonly progress: boolean;
}

/** Builds a response from the chunks of a stream. */
export interface StreamAccumulator {
  add(chunk: CompletionChunk): ChunkEffect;
  /** Text that was pending back at the end of a chunk; call it before `response`. */
  flush(): ChunkEffect;
  /** Whether the endpoint has sent a finish reason. */
  hasFinished(): boolean;
  /** Whether it has sent usage too, so that nothing more is expected. */
  hasUsage(): boolean;
  /** @throws UpstreamFailure where the chunks are not a usable response */
  response(): ModelResponse;
}

export interface AccumulatorOptions extends CompletionContext {
  /**
   * Cap in characters. Longer tool arguments are rejected. Longer text is delivered but not kept,
   * so that a long response to a slow reader does not fill the memory.
   */
  readonly maxChars: number;
}

const NOTHING: ChunkEffect = { text: '', progress: false };

type Delta = NonNullable<NonNullable<CompletionChunk['choices']>[number]['delta']>;

export function createStreamAccumulator(options: AccumulatorOptions): StreamAccumulator {
  const content = createTextChannel(options.maxChars);
  const refusal = createTextChannel(options.maxChars);
  const toolCalls = createToolCallAccumulator(options.maxChars);
  let hasFunctionCall = false;
  let finishReason: string | undefined;
  let model: string | undefined;
  let usage: CompletionUsage;

  function addDelta(delta: Delta): ChunkEffect {
    for (const part of delta.tool_calls ?? []) toolCalls.add(part);
    hasFunctionCall ||= delta.function_call !== undefined && delta.function_call !== null;
    const hidden = delta.tool_calls?.length ?? delta.reasoning_content ?? delta.reasoning;
    const progress = Boolean(delta.content) || Boolean(delta.refusal) || Boolean(hidden);
    const text = typeof delta.content === 'string' ? content.add(delta.content) : '';
    const declined = typeof delta.refusal === 'string' ? refusal.add(delta.refusal) : '';
    if (text !== '' || declined === '') return { text, progress };
    return { text: declined, isRefusal: true, progress };
  }

  return {
    add(chunk) {
      model ??= chunk.model;
      if (chunk.usage !== null && chunk.usage !== undefined) usage = chunk.usage;
      const choice = chunk.choices?.find(({ index }) => index === undefined || index === 0);
      if (choice === undefined) return NOTHING;
      if (choice.finish_reason) finishReason ??= choice.finish_reason;
      return choice.delta ? addDelta(choice.delta) : NOTHING;
    },
    flush() {
      const text = content.flush();
      const declined = refusal.flush();
      if (text !== '' || declined === '') return { text, progress: false };
      return { text: declined, isRefusal: true, progress: false };
    },
    hasFinished: () => finishReason !== undefined,
    hasUsage: () => usage !== null && usage !== undefined,
    response: () =>
      toModelResponse(
        {
          text: content.whole(),
          refusal: refusal.whole(),
          textChars: content.chars() || refusal.chars(),
          toolCalls: toolCalls.whole(finishReason),
          hasFunctionCall,
          finishReason: finishReason ?? '',
          model,
          usage,
        },
        options,
      ),
  };
}

type ToolCallPart = NonNullable<Delta['tool_calls']>[number];

function createToolCallAccumulator(maxChars: number) {
  const calls = new Map<number, { id: string; name: string; arguments: string }>();
  let chars = 0;
  return {
    add({ index, id, function: part }: ToolCallPart): void {
      const call = calls.get(index) ?? { id: '', name: '', arguments: '' };
      call.id ||= id ?? '';
      call.name ||= part?.name ?? '';
      call.arguments += part?.arguments ?? '';
      calls.set(index, call);
      // Empty parts count too, otherwise their number would be unbounded.
      chars += (part?.arguments?.length ?? 0) + 1;
      if (chars > maxChars) throw invalidResponse('The tool calls are longer than the cap');
    },
    /** A tool call that the token limit cut short need not be complete. */
    whole(finishReason: string | undefined): ModelToolCall[] {
      const inOrder = [...calls].sort(([left], [right]) => left - right).map(([, call]) => call);
      const mayBeCut = finishReason !== 'tool_calls' && finishReason !== 'stop';
      if (!mayBeCut && inOrder.some((call) => call.id === '' || call.name === '')) {
        throw invalidResponse('A tool call has no id or no name');
      }
      return inOrder;
    },
  };
}

/** A text in pieces that is well-formed in each of them. */
function createTextChannel(maxChars: number) {
  const joiner = createTextJoiner(maxChars);
  let pending = '';
  function push(text: string): string {
    joiner.add(text);
    return text;
  }
  return {
    chars: () => joiner.chars(),
    whole: () => joiner.whole(),
    /** The text to show. The first half of a character waits for the second one. */
    add(piece: string): string {
      if (pending === '' && piece.isWellFormed()) return push(piece);
      const text = pending + piece;
      pending = /[\ud800-\udbff]$/.exec(text)?.[0] ?? '';
      return push(text.slice(0, text.length - pending.length).toWellFormed());
    },
    flush(): string {
      const rest = pending === '' ? '' : push(pending.toWellFormed());
      pending = '';
      return rest;
    },
  };
}

/** Pieces that are joined in one step: few enough to copy cheaply, many enough to do it rarely. */
const PIECES_PER_SEGMENT = 512;

/**
 * Joins a text from many small pieces. With `+` each piece would stay an object of its own until
 * the end, and a long response would take ten times the memory of its text.
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
