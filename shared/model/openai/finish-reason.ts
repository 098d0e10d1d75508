import type { FinishReason } from '../model.ts';
import { interruptedResponse, invalidResponse, UpstreamCause } from '../upstream-error.ts';
import { filteredContent, type UpstreamFailure } from '../upstream-error.ts';

/**
 * Finish reasons of OpenAI, and the names that compatible servers use for them, in lower case. The
 * table is documented in docs/model-endpoints.md. A name that is missing here may stand for an
 * incomplete response, so it makes the response invalid.
 */
export const FINISH_REASONS = {
  stop: [
    'stop',
    'eos',
    'eos_token',
    'end_turn',
    'end_of_turn',
    'end_of_text',
    'end',
    'stop_sequence',
    'stop_token',
    'complete',
    'completed',
    'done',
    'finish',
    'finished',
    'normal',
  ],
  length: [
    'length',
    'max_tokens',
    'max_length',
    'max_output_tokens',
    'max_completion_tokens',
    'max_new_tokens',
    'model_length',
    'token_limit',
    'context_length',
    'model_context_window_exceeded',
  ],
  tool_calls: ['tool_calls', 'tool_call', 'tool_use', 'function_call', 'function_calls'],
  content_filter: [
    'content_filter',
    'content_filtered',
    'safety',
    'recitation',
    'blocklist',
    'prohibited_content',
    'spii',
    'guardrail_intervened',
    'refusal',
  ],
  interrupted: [
    'error',
    'abort',
    'aborted',
    'cancelled',
    'canceled',
    'network_error',
    'insufficient_system_resource',
    'malformed_function_call',
  ],
} as const satisfies Record<string, readonly string[]>;

type Meaning = keyof typeof FINISH_REASONS;

const MEANINGS: ReadonlyMap<string, Meaning> = new Map(
  Object.entries(FINISH_REASONS).flatMap(([meaning, names]) =>
    names.map((name) => [name, meaning as Meaning] as const),
  ),
);

/** A finish reason that is not one of OpenAI, and its meaning here. */
export interface MappedFinishReason {
  readonly reported: string;
  readonly mapped: Meaning;
}

/** @throws UpstreamFailure where the response is filtered, interrupted, or ended for no known reason */
export function readFinishReason(
  reported: string,
  onMapped: (mapped: MappedFinishReason) => void,
): FinishReason {
  const meaning = MEANINGS.get(reported.toLowerCase());
  if (meaning === undefined) throw invalidResponse('The finish reason is unknown');
  if (meaning !== reported) onMapped({ reported, mapped: meaning });
  if (meaning === 'content_filter' || meaning === 'interrupted') throw failureOf(meaning);
  return meaning;
}

function failureOf(meaning: 'content_filter' | 'interrupted'): UpstreamFailure {
  return meaning === 'content_filter'
    ? filteredContent([], new UpstreamCause('The content filter cut the response'))
    : interruptedResponse('The endpoint ended the response with an error');
}
