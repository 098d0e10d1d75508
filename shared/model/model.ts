import type { Telemetry } from '../telemetry/telemetry.ts';

/** One message of a conversation as the model sees it. */
export type ModelMessage =
  | { readonly role: 'system' | 'user' | 'assistant'; readonly content: string }
  | {
      readonly role: 'assistant';
      readonly content: string | null;
      readonly toolCalls: readonly ModelToolCall[];
    }
  | { readonly role: 'tool'; readonly toolCallId: string; readonly content: string };

export interface ModelToolCall {
  readonly id: string;
  readonly name: string;
  /** JSON text, as the model wrote it. Not yet parsed and not to be trusted. */
  readonly arguments: string;
}

export interface ModelRequest {
  readonly messages: readonly ModelMessage[];
  /** Upper bound of tokens in the answer; the model's own bound when absent. */
  readonly maxOutputTokens?: number | undefined;
  /** Sent only when given: reasoning models refuse it. */
  readonly temperature?: number | undefined;
  /** What the model may call instead of answering. */
  readonly tools?: readonly ModelTool[] | undefined;
}

/** A function that the model may ask for. */
export interface ModelTool {
  readonly name: string;
  readonly description: string;
  /** JSON Schema of the arguments. */
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** Why the model stopped. An answer without a reason is no answer. */
export type FinishReason = 'stop' | 'length' | 'tool_calls';

export interface TokenUsage {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly totalTokens: number;
}

/** A whole answer: only ever made when the upstream said why it stopped. */
export interface ModelResponse {
  readonly text: string;
  /**
   * Set where a streamed text was longer than is kept. It has been passed on piece by piece; `text`
   * is empty then, and nobody may store the answer.
   */
  readonly isTextDropped?: true;
  readonly toolCalls: readonly ModelToolCall[];
  readonly finishReason: FinishReason;
  readonly usage: TokenUsage;
  /** True where the upstream did not count and the usage is four characters to a token. */
  readonly usageEstimated?: boolean;
  /** The model's public name as it called itself, or as configured. Never a deployment name. */
  readonly model: string;
}

/** Text as it comes, then exactly one whole answer. A stream that ends otherwise throws. */
export type ModelEvent =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'answer'; readonly answer: ModelResponse };

/** What goes with one call and is not part of the question. */
export interface ModelCall {
  /** Aborts when the client left or the whole deadline passed; its reason is thrown as it is. */
  readonly signal: AbortSignal;
  readonly telemetry: Telemetry;
  /** W3C trace context to send on to the upstream. */
  readonly traceparent?: string | undefined;
  /**
   * When the caller stops waiting, in milliseconds since the epoch. A wait that an upstream asks for
   * is taken only where it fits; without this it fits up to the time of one attempt.
   */
  readonly deadlineAt?: number | undefined;
  /**
   * Nobody waits for the answer: at a rate limit the call ends at once, to be made again much
   * later, and what it meets there holds up nobody else.
   */
  readonly isBackground?: boolean | undefined;
}

/** A chat model behind a network: every failure is a ServiceError, or the signal's own reason. */
export interface Model {
  complete(request: ModelRequest, call: ModelCall): Promise<ModelResponse>;
  stream(request: ModelRequest, call: ModelCall): AsyncIterable<ModelEvent>;
}
