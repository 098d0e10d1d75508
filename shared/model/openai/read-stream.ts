import { buildAnswer, type AnswerContext, type RawAnswer } from './read-response.ts';
import type { CompletionChunk, CompletionUsage } from './schema.ts';
import { invalidAnswer } from '../upstream-error.ts';
import type { ModelAnswer, ModelToolCall } from '../model.ts';

/** What one chunk added: visible text, progress that is not shown, or nothing. */
export interface ChunkEffect {
  readonly text: string;
  readonly progress: boolean;
}

/** Puts the chunks of a stream together. */
export interface StreamCollector {
  add(chunk: CompletionChunk): ChunkEffect;
  /** Whether the upstream said why it stopped. */
  hasFinished(): boolean;
  answer(): ModelAnswer;
}

export interface CollectorOptions extends AnswerContext {
  /**
   * Tool arguments beyond this many characters are refused. Text beyond it is passed on and no
   * longer kept: a long answer to a patient reader must not fill the memory.
   */
  readonly maxChars: number;
}

const NOTHING: ChunkEffect = { text: '', progress: false };

type Delta = NonNullable<NonNullable<CompletionChunk['choices']>[number]['delta']>;

export function createStreamCollector(options: CollectorOptions): StreamCollector {
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
      const raw: RawAnswer = {
        text: text.whole(),
        textChars: text.chars(),
        toolCalls: toolCalls(),
        finishReason: finishReason ?? '',
        model,
        usage,
      };
      return buildAnswer(raw, options);
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
