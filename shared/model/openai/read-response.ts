import type { CompletionUsage } from './schema.ts';
import type { ModelEndpoint } from '../endpoint.ts';
import { filteredContent, invalidAnswer } from '../upstream-error.ts';
import type {
  FinishReason,
  ModelAnswer,
  ModelRequest,
  ModelToolCall,
  TokenUsage,
} from '../model.ts';
import { UpstreamCause } from '../upstream-failure.ts';

/** What an upstream said by the time it gave a reason for stopping. */
export interface RawAnswer {
  /** Undefined where it never said any text, not even an empty one. */
  readonly text: string | undefined;
  /** How long the text was, where it was not kept. */
  readonly textChars?: number;
  readonly toolCalls: readonly ModelToolCall[];
  readonly finishReason: string;
  readonly model: string | undefined;
  readonly usage: CompletionUsage;
}

export interface AnswerContext {
  readonly endpoint: ModelEndpoint;
  readonly request: ModelRequest;
}

/** The usual ratio for English text; used only where the upstream does not count. */
const CHARS_PER_TOKEN = 4;

/** The whole answer, or the reason why what came is none. */
export function buildAnswer(raw: RawAnswer, { endpoint, request }: AnswerContext): ModelAnswer {
  const finishReason = readFinishReason(raw);
  // A tool call that the token limit cut short is no call.
  const toolCalls = finishReason === 'length' ? [] : raw.toolCalls;
  if (finishReason === 'tool_calls' && toolCalls.length === 0) {
    throw invalidAnswer('The answer promises tool calls and has none');
  }
  if (finishReason === 'stop' && raw.text === undefined) {
    throw invalidAnswer('The answer has neither text nor tool calls');
  }
  const text = raw.text ?? '';
  const textChars = raw.textChars ?? text.length;
  const counted = readUsage(raw.usage);
  return {
    text,
    ...(text.length < textChars ? { isTextDropped: true as const } : {}),
    toolCalls,
    finishReason,
    usage: counted ?? estimateUsage(request, { textChars, toolCalls }),
    ...(counted === undefined ? { usageEstimated: true } : {}),
    model: publicModelName(endpoint, raw.model),
  };
}

function readFinishReason(raw: RawAnswer): FinishReason {
  switch (raw.finishReason) {
    case 'stop':
      // Some compatible servers say "stop" after tool calls as well.
      return raw.toolCalls.length > 0 ? 'tool_calls' : 'stop';
    case 'tool_calls':
    case 'length':
      return raw.finishReason;
    case 'content_filter':
      throw filteredContent([], new UpstreamCause('The content filter cut the answer'));
    default:
      // An unknown reason may mean anything, an answer cut short included.
      throw invalidAnswer('The answer ended for an unknown reason');
  }
}

function readUsage(usage: CompletionUsage): TokenUsage | undefined {
  if (usage === null || usage === undefined) return undefined;
  const { prompt_tokens: inputTokens, completion_tokens: outputTokens } = usage;
  return {
    inputTokens,
    outputTokens,
    totalTokens: usage.total_tokens ?? inputTokens + outputTokens,
  };
}

interface SaidByModel {
  readonly textChars: number;
  readonly toolCalls: readonly ModelToolCall[];
}

function estimateUsage(request: ModelRequest, said: SaidByModel): TokenUsage {
  const inputChars = request.messages.reduce((sum, { content }) => sum + (content?.length ?? 0), 0);
  const callChars = said.toolCalls.reduce((sum, call) => sum + call.arguments.length, 0);
  const inputTokens = Math.ceil(inputChars / CHARS_PER_TOKEN);
  const outputTokens = Math.ceil((said.textChars + callChars) / CHARS_PER_TOKEN);
  return { inputTokens, outputTokens, totalTokens: inputTokens + outputTokens };
}

/** A deployment's name is the operator's business: it is replaced where an upstream repeats it. */
function publicModelName(endpoint: ModelEndpoint, said: string | undefined): string {
  if (endpoint.publicModelName !== undefined) return endpoint.publicModelName;
  const isDeployment = endpoint.kind === 'azure' && said === endpoint.model;
  if (said !== undefined && said !== '' && !isDeployment) return said;
  return endpoint.kind === 'azure' ? endpoint.name : endpoint.model;
}
