import type {
  ContentPart,
  FinishReason,
  ModelParameter,
  ModelRequest,
  ModelTool,
  ModelToolCall,
  ResponseFormat,
  TextDelta,
  TokenUsage,
} from '../model/model.ts';
import type { GuardrailDecision } from '../guardrails/decisions.ts';
import type { SearchConversation } from './tool.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import type { StepJournal, ToolCallStatus } from './step-journal.ts';

/** One message of a conversation. */
export type Message =
  | { readonly role: 'system' | 'developer'; readonly content: string }
  | { readonly role: 'user'; readonly content: string | readonly ContentPart[] }
  | {
      readonly role: 'assistant';
      /** Null where the assistant only called tools. */
      readonly content: string | null;
      readonly toolCalls?: readonly ModelToolCall[] | undefined;
    }
  /** The result of a tool call of an earlier assistant message. */
  | { readonly role: 'tool'; readonly toolCallId: string; readonly content: string };

/** Model parameters that a client may set for its run. Undefined ones are not sent to the model. */
type RunParameters = Pick<
  ModelRequest,
  | 'maxOutputTokens'
  | 'temperature'
  | 'topP'
  | 'presencePenalty'
  | 'frequencyPenalty'
  | 'seed'
  | 'stop'
  | 'reasoningEffort'
  | 'verbosity'
>;

/** The input of a run. The protocol that the client speaks has no influence on it. */
export interface AgentInput extends RunParameters {
  /** The whole conversation, oldest message first. Never empty. */
  readonly messages: readonly Message[];
  /** Functions that the client runs itself: the run ends where the model calls one of them. */
  readonly tools?: readonly ClientTool[] | undefined;
  /** `none` means no tool at all; `required` and a name bind the first step to the client's tools. */
  readonly toolChoice?: ModelRequest['toolChoice'];
  readonly parallelToolCalls?: boolean | undefined;
  /** The bound on calls of the agent's own tools, where it is lower than that of the agent. */
  readonly maxOwnToolCalls?: number | undefined;
  /** The shape of the answer; the agent's own where undefined. */
  readonly responseFormat?: ClientResponseFormat | undefined;
  /** Permits to drop the oldest messages of a conversation that is too long. */
  readonly mayDropMessages?: boolean | undefined;
  /** How the protocol names the fields of the input, for errors. */
  readonly fieldNames?: FieldNames | undefined;
}

/** The names of the fields of an input in the request of the client. */
export interface FieldNames extends Readonly<Partial<Record<ModelParameter, string>>> {
  readonly messages: string;
}

/** A response format. `param` is the path of its schema in the request, for errors. */
export type ClientResponseFormat = ResponseFormat & { readonly param?: string | undefined };

/** A function of the client. */
export interface ClientTool extends ModelTool {
  /** The path of its name in the request, for errors. */
  readonly nameParam: string;
}

/** What a run needs besides its input. */
export interface RunContext {
  /** Aborts when the client disconnects or the deadline passes. */
  readonly signal: AbortSignal;
  /**
   * Aborts calls of tools with effect `once` in place of `signal`: when the process stops, a call
   * that has begun may end, so that its outcome is known.
   */
  readonly effectSignal?: AbortSignal | undefined;
  /** The deadline in milliseconds since the epoch. A wait that ends after it does not start. */
  readonly deadlineAt: number;
  readonly traceparent: string;
  readonly telemetry: Telemetry;
  /** True for batch items: interactive requests take precedence when capacity is short. */
  readonly isBackground?: boolean | undefined;
  /** How the run uses the response cache. Without it the run neither reads nor writes the cache. */
  readonly cache?: RunCacheOptions | undefined;
  /**
   * Reserves the tokens of a step after the first, before its model call.
   * @throws ServiceError rate_limited or budget_exhausted
   */
  readonly reserveStep?: ((size: InputSize) => Promise<void>) | undefined;
  /** Called with the usage of each step of this attempt, also if a later step fails. */
  readonly onStepEnd?: ((usage: TokenUsage) => void) | undefined;
  /** Where the run keeps its finished steps, so that a later attempt goes on after them. */
  readonly journal?: StepJournal | undefined;
  /** Called after each step whose own tools ran, with their calls and results. */
  readonly onToolStep?: ((messages: readonly Message[]) => void) | undefined;
  /** Finds earlier messages of the conversation that the run belongs to; undefined if it has none. */
  readonly searchConversation?: SearchConversation | undefined;
  /** Called with the estimated usage of a model call that was sent and is not complete. */
  readonly onPartialUsage?: ((usage: TokenUsage) => void) | undefined;
  /** Called with each decision of a guardrail. */
  readonly onDecision?: ((decision: GuardrailDecision) => void) | undefined;
  /** Checks what own tools receive and return. */
  readonly toolGuard?: ToolGuard | undefined;
}

/** The guardrails between the model and the agent's own tools. */
export interface ToolGuard {
  /**
   * The arguments that the tool receives, as JSON text.
   * @throws ServiceError guardrail_blocked
   */
  checkToolCall(call: Pick<ModelToolCall, 'name' | 'arguments'>): string;
  /**
   * The output that the model reads.
   * @throws ServiceError guardrail_blocked
   */
  checkToolResult(output: string): Promise<string>;
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

/** The size of a model request before it is sent. */
export interface InputSize {
  /** Every text that is sent to the model. */
  readonly texts: readonly string[];
  /** The number of images that are sent to the model. */
  readonly images?: number | undefined;
  /** The bound on the output that is sent to the model. */
  readonly maxOutputTokens: number;
}

/** The result of a run. */
export interface RunResult {
  /** The text of all steps. */
  readonly text: string;
  /** The words with which the model declined; undefined where it did not. */
  readonly refusal?: string | undefined;
  readonly model: string;
  /** `tool_calls` where the client has to run `clientToolCalls`. */
  readonly finishReason: FinishReason;
  readonly cached: boolean;
  /** The sum of all steps. */
  readonly usage: TokenUsage;
  /** The agent's own tools that ran, in the order of their calls. */
  readonly toolCalls: readonly ToolCallSummary[];
  /** Calls of the client's tools, as the model wrote them. */
  readonly clientToolCalls?: readonly ModelToolCall[] | undefined;
}

export interface ToolCallSummary {
  readonly name: string;
  readonly status: ToolCallStatus;
  readonly durationMs: number;
}

/**
 * An event of a streamed run. A run is one request, a step is one model call. A stream ends with
 * exactly one `done` or it throws.
 */
export type AgentEvent =
  | TextDelta
  /** An own tool starts. */
  | { readonly type: 'tool-call'; readonly id: string; readonly name: string }
  | ({ readonly type: 'tool-result'; readonly id: string } & ToolCallSummary)
  | { readonly type: 'step-end'; readonly usage: TokenUsage }
  | { readonly type: 'done'; readonly result: RunResult };

/** Runs chats and batch items alike. It throws a ServiceError or the reason of the signal. */
export interface Agent {
  run(input: AgentInput, context: RunContext): Promise<RunResult>;
  stream(input: AgentInput, context: RunContext): AsyncIterable<AgentEvent>;
}
