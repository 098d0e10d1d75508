import type { Telemetry } from '../telemetry/telemetry.ts';

/** A piece of a user message. */
export type ContentPart =
  | { readonly type: 'text'; readonly text: string }
  | {
      readonly type: 'image';
      /** An `https:` or `data:` URL. The endpoint fetches it; this service never does. */
      readonly url: string;
      readonly detail?: 'auto' | 'low' | 'high' | 'original' | undefined;
    }
  | {
      readonly type: 'file';
      readonly filename: string;
      /** A `data:` URL. */
      readonly data: string;
    };

/** One message of a conversation, as the model receives it. */
export type ModelMessage =
  | { readonly role: 'system'; readonly content: string }
  | { readonly role: 'user'; readonly content: string | readonly ContentPart[] }
  | {
      readonly role: 'assistant';
      readonly content: string | null;
      readonly toolCalls?: readonly ModelToolCall[] | undefined;
    }
  | { readonly role: 'tool'; readonly toolCallId: string; readonly content: string };

export interface ModelToolCall {
  readonly id: string;
  readonly name: string;
  /** JSON text as the model wrote it: neither parsed nor validated. */
  readonly arguments: string;
}

/** Parameters that are undefined are not sent, because some models reject them. */
export interface ModelRequest {
  readonly messages: readonly ModelMessage[];
  /** Upper bound of tokens in the response; the model's own bound where undefined. */
  readonly maxOutputTokens?: number | undefined;
  readonly temperature?: number | undefined;
  readonly topP?: number | undefined;
  readonly presencePenalty?: number | undefined;
  readonly frequencyPenalty?: number | undefined;
  readonly seed?: number | undefined;
  /** The model stops before the first of these texts. */
  readonly stop?: readonly string[] | undefined;
  readonly reasoningEffort?: ReasoningEffort | undefined;
  readonly verbosity?: 'low' | 'medium' | 'high' | undefined;
  readonly responseFormat?: ResponseFormat | undefined;
  /** Functions that the model may call. */
  readonly tools?: readonly ModelTool[] | undefined;
  readonly toolChoice?: ToolChoice | undefined;
  readonly parallelToolCalls?: boolean | undefined;
  /** Not sent: the names for an error about a part that the endpoint rejects. */
  readonly callerFields?: CallerFields | undefined;
}

/** The parts of a model request that the caller set, under the names of its protocol. */
export interface CallerFields {
  readonly parameters: Readonly<Partial<Record<ModelParameter, string>>>;
  /** By the position in `messages`; undefined for those of this service. */
  readonly messages: readonly (string | undefined)[];
  /** By the position in `tools`; undefined for those of this service. */
  readonly tools: readonly (string | undefined)[];
  /** The schema within the response format. */
  readonly responseSchema?: string | undefined;
}

/** A parameter of a model request besides its messages and tools. */
export type ModelParameter = Exclude<keyof ModelRequest, 'messages' | 'tools' | 'callerFields'>;

export type ReasoningEffort = 'none' | 'minimal' | 'low' | 'medium' | 'high' | 'xhigh' | 'max';

export type ResponseFormat =
  | { readonly type: 'text' | 'json_object' }
  | {
      readonly type: 'json_schema';
      readonly name: string;
      readonly description?: string | undefined;
      readonly schema: Readonly<Record<string, unknown>>;
      readonly strict?: boolean | undefined;
    };

/** `required` means any tool; an object names the one that the model must call. */
export type ToolChoice = 'auto' | 'none' | 'required' | { readonly name: string };

/** A function that the model may call. */
export interface ModelTool {
  readonly name: string;
  readonly description?: string | undefined;
  /** JSON Schema of the arguments. */
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly strict?: boolean | undefined;
}

/** Why the model stopped. A response without a reason is incomplete and never returned. */
export type FinishReason = 'stop' | 'length' | 'tool_calls';

export interface TokenUsage {
  /** All input tokens, cached ones included. */
  readonly inputTokens: number;
  /** Input tokens that the endpoint read from its prompt cache; undefined where it does not say. */
  readonly cachedInputTokens?: number | undefined;
  readonly outputTokens: number;
  readonly totalTokens: number;
}

/** A complete response: it exists only where the endpoint sent a finish reason. */
export interface ModelResponse {
  /** The visible text: the content or, where the model declined, its refusal. */
  readonly text: string;
  /** The words with which the model declined; undefined where it did not. */
  readonly refusal?: string | undefined;
  /**
   * True where a streamed text was longer than the cap on what is kept. The stream delivered every
   * piece; `text` is empty, so the response must not be stored.
   */
  readonly isTextDropped?: true;
  readonly toolCalls: readonly ModelToolCall[];
  readonly finishReason: FinishReason;
  readonly usage: TokenUsage;
  /** True where the endpoint sent no usage, so that `usage` is an estimate of 4 characters a token. */
  readonly usageEstimated?: boolean;
  /** The public model name, as configured or as the endpoint reports it. Never a deployment name. */
  readonly model: string;
}

/** A part of the text, as it arrives. */
export interface TextDelta {
  readonly type: 'text-delta';
  readonly text: string;
  readonly isRefusal?: true;
  /**
   * The deltas of the endpoint that make up `text`, where several arrived in one read. They pass
   * through the layers together and are sent one by one. What changes `text` leaves them out.
   */
  readonly pieces?: readonly string[];
}

/** Text as it arrives, then exactly one `done`. A stream that fails throws instead. */
export type ModelEvent = TextDelta | { readonly type: 'done'; readonly response: ModelResponse };

/** What accompanies one call and is not part of the request. */
export interface ModelCall {
  /** Aborts when the client disconnects or the deadline passes; the call rejects with its reason. */
  readonly signal: AbortSignal;
  readonly telemetry: Telemetry;
  /** W3C trace context of the caller. */
  readonly traceparent?: string | undefined;
  /**
   * When the caller stops waiting, in milliseconds since the epoch. A wait that does not end before
   * it is not started. Where undefined, the limit is the timeout of one attempt.
   */
  readonly deadlineAt?: number | undefined;
  /**
   * True for batch work. It does not wait for a rate limit: the call fails at once and the batch
   * repeats it later. A rate limit that it meets does not delay interactive calls.
   */
  readonly isBackground?: boolean | undefined;
  /**
   * Called with the estimated usage of a call that was sent and ended without a complete response:
   * the provider charges for it.
   */
  readonly onPartialUsage?: ((usage: TokenUsage) => void) | undefined;
}

/** A chat model behind a network. Every failure is a ServiceError or the reason of the signal. */
export interface Model {
  complete(request: ModelRequest, call: ModelCall): Promise<ModelResponse>;
  stream(request: ModelRequest, call: ModelCall): AsyncIterable<ModelEvent>;
}

/** One server that completes chats. */
export interface ModelEndpoint {
  /** Public label for logs and readiness: 'primary', 'fallback-1' or the configured name. */
  readonly name: string;
  readonly kind: 'openai' | 'azure';
  /** Such as https://api.openai.com/v1 or https://x.openai.azure.com/openai/v1. */
  readonly baseUrl: string;
  /** Model or deployment that is sent to the endpoint. An Azure deployment is never shown to callers. */
  readonly model: string;
  /** Returns the key or bearer token; called for each attempt. */
  readonly apiKey: () => Promise<string>;
  /** An Azure key is sent as `api-key`; every other credential is a bearer token. */
  readonly credential?: 'key' | 'token' | undefined;
  /** Model name in responses, instead of the name that the endpoint reports. */
  readonly publicModelName?: string | undefined;
}

/** The usual ratio for English text. */
const CHARS_PER_TOKEN = 4;

interface GeneratedContent {
  readonly textChars: number;
  readonly toolCalls: readonly ModelToolCall[];
}

/** The usage of a response without one, or of a call without a complete response. */
export function estimateUsage(request: ModelRequest, output: GeneratedContent): TokenUsage {
  const inputChars = request.messages.reduce((sum, message) => sum + charsOf(message), 0);
  const callChars = output.toolCalls.reduce((sum, call) => sum + call.arguments.length, 0);
  const inputTokens = Math.ceil(inputChars / CHARS_PER_TOKEN);
  const outputTokens = Math.ceil((output.textChars + callChars) / CHARS_PER_TOKEN);
  return { inputTokens, outputTokens, totalTokens: inputTokens + outputTokens };
}

/** Tokens that a request may use, the bound on its output included. */
export function estimateRequestTokens(request: ModelRequest): number {
  const { inputTokens } = estimateUsage(request, { textChars: 0, toolCalls: [] });
  return inputTokens + (request.maxOutputTokens ?? 0);
}

function charsOf({ content }: ModelMessage): number {
  if (content === null || typeof content === 'string') return content?.length ?? 0;
  return content.reduce((sum, part) => sum + (part.type === 'text' ? part.text.length : 0), 0);
}

/** A part of a streamed response. `progress` is a token that is not shown. */
type OutputEvent = TextDelta | { readonly type: 'progress'; readonly tokens: number };

/** The usage of a call that ends without a complete response, such as one that its client left. */
export function createPartialUsage(request: ModelRequest) {
  let isSent = false;
  let textChars = 0;
  let hiddenTokens = 0;
  return {
    markSent: () => {
      isSent = true;
    },
    addOutput(event: OutputEvent) {
      if (event.type === 'progress') hiddenTokens += event.tokens;
      else textChars += event.text.length;
    },
    hasOutput: () => textChars + hiddenTokens > 0,
    /** Undefined if the request was not sent. */
    read(): TokenUsage | undefined {
      if (!isSent) return undefined;
      const { inputTokens, outputTokens } = estimateUsage(request, { textChars, toolCalls: [] });
      const allOutputTokens = outputTokens + hiddenTokens;
      return {
        inputTokens,
        outputTokens: allOutputTokens,
        totalTokens: inputTokens + allOutputTokens,
      };
    },
  };
}
