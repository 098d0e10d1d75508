import type {
  FinishReason,
  Model,
  ModelMessage,
  ModelRequest,
  ModelResponse,
  TokenUsage,
} from '../model/model.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

/** One message of a conversation. */
export interface Message {
  readonly role: 'system' | 'developer' | 'user' | 'assistant';
  readonly content: string;
}

/** The input of a run. The protocol that the client speaks has no influence on it. */
export interface AgentInput {
  /** The whole conversation, oldest message first. Never empty. */
  readonly messages: readonly Message[];
  readonly maxOutputTokens?: number | undefined;
  readonly temperature?: number | undefined;
}

/** What a run needs besides its input. */
export interface RunContext {
  /** Aborts when the client disconnects or the deadline passes. */
  readonly signal: AbortSignal;
  /** The deadline in milliseconds since the epoch. A wait that ends after it does not start. */
  readonly deadlineAt: number;
  readonly traceparent: string;
  readonly telemetry: Telemetry;
  /** True for batch items: interactive requests take precedence when capacity is short. */
  readonly isBackground?: boolean | undefined;
  /** How the run uses the response cache. Without it the run neither reads nor writes the cache. */
  readonly cache?: RunCacheOptions | undefined;
}

export interface RunCacheOptions {
  /** The owner of the entries: an entry of another scope is never returned. */
  readonly scope: string;
  /** The request's `Cache-Control` header. */
  readonly control?: string | undefined;
  /** Called once or more often with the result of the lookup; the last call is final. */
  readonly onStatus?: (status: RunCacheStatus) => void;
}

interface RunCacheStatus {
  /** The value of the `Cache-Status` header. */
  readonly header: string;
  /** True for a hit and for a coalesced request: this run makes no model call. */
  readonly isHit: boolean;
}

/** The result of a run. */
export interface RunResult {
  readonly text: string;
  readonly model: string;
  readonly finishReason: FinishReason;
  readonly cached: boolean;
  readonly usage: TokenUsage;
  readonly toolCalls: readonly ToolCallSummary[];
}

export interface ToolCallSummary {
  readonly name: string;
  readonly status: 'ok' | 'failed';
  readonly durationMs: number;
}

/**
 * An event of a streamed run. A run is one request, a step is one model call. A stream ends with
 * exactly one `done` or it throws.
 */
export type AgentEvent =
  | { readonly type: 'text-delta'; readonly text: string }
  | { readonly type: 'tool-call'; readonly id: string; readonly name: string }
  | ({ readonly type: 'tool-result'; readonly id: string } & ToolCallSummary)
  | { readonly type: 'step-end'; readonly usage: TokenUsage }
  | { readonly type: 'done'; readonly result: RunResult };

/** Runs chats and batch items alike. It throws a ServiceError or the reason of the signal. */
export interface Agent {
  run(input: AgentInput, context: RunContext): Promise<RunResult>;
  stream(input: AgentInput, context: RunContext): AsyncIterable<AgentEvent>;
}

/** What the agent adds to the input of every run. */
export interface PromptOptions {
  /** The system prompt. */
  readonly instructions: string;
  readonly parameters?: ModelParameters | undefined;
}

interface ModelParameters {
  /** An upper bound: an input may set a lower one, not a higher one. */
  readonly maxOutputTokens?: number | undefined;
  /** The bound of inputs without one. */
  readonly defaultOutputTokens?: number | undefined;
  /** The default of inputs without a temperature. */
  readonly temperature?: number | undefined;
}

interface AgentOptions extends PromptOptions {
  readonly model: Model;
}

export function createAgent({ model, ...prompt }: AgentOptions): Agent {
  return {
    async run(input, context) {
      return toRunResult(await model.complete(buildModelRequest(input, prompt), context));
    },
    async *stream(input, context) {
      for await (const event of model.stream(buildModelRequest(input, prompt), context)) {
        if (event.type === 'text-delta') yield { type: 'text-delta', text: event.text };
        else yield { type: 'done', result: toRunResult(event.response) };
      }
    },
  };
}

/**
 * The model request of an input. The model call, the token estimate and the cache key all come from
 * this request, so none of them can miss a part of it. It always has a bound on the output: what is
 * reserved for a run is what the model may use.
 */
export function buildModelRequest(
  { messages, maxOutputTokens, temperature }: AgentInput,
  { instructions, parameters = {} }: PromptOptions,
): BoundedModelRequest {
  return {
    messages: [{ role: 'system', content: instructions }, ...messages.map(toModelMessage)],
    maxOutputTokens: Math.min(
      maxOutputTokens ?? parameters.defaultOutputTokens ?? DEFAULT_OUTPUT_TOKENS,
      parameters.maxOutputTokens ?? Number.POSITIVE_INFINITY,
    ),
    temperature: temperature ?? parameters.temperature,
  };
}

type BoundedModelRequest = ModelRequest & { readonly maxOutputTokens: number };

/** The default of `model.default_output_tokens`. */
const DEFAULT_OUTPUT_TOKENS = 4_096;

/** Only the agent's own instructions are a system message. Those of a caller become user text. */
function toModelMessage({ role, content }: Message): ModelMessage {
  if (role === 'user' || role === 'assistant') return { role, content };
  return { role: 'user', content: `Instructions of the caller:\n${content}` };
}

/** The size of a model request before it is sent. */
export interface InputSize {
  /** Every text that is sent to the model. */
  readonly texts: readonly string[];
  /** The bound on the output that is sent to the model. */
  readonly maxOutputTokens: number;
}

/** The size of the model request that an input leads to. */
export function estimateInput(input: AgentInput, prompt: PromptOptions): InputSize {
  const { messages, tools = [], maxOutputTokens } = buildModelRequest(input, prompt);
  const texts = [...messages.map(textOf), ...tools.map((tool) => JSON.stringify(tool))];
  return { texts, maxOutputTokens };
}

function textOf(message: ModelMessage): string {
  const { content } = message;
  const text =
    typeof content === 'string'
      ? content
      : (content ?? []).map((part) => (part.type === 'text' ? part.text : '')).join('');
  const hasToolCalls = message.role === 'assistant' && message.toolCalls !== undefined;
  return hasToolCalls ? text + JSON.stringify(message.toolCalls) : text;
}

function toRunResult({ text, model, finishReason, usage }: ModelResponse): RunResult {
  return { text, model, finishReason, usage, cached: false, toolCalls: [] };
}
