import type {
  FinishReason,
  Model,
  ModelMessage,
  ModelRequest,
  TokenUsage,
} from '../model/model.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

/** What goes with one turn and is not part of the question. */
export interface RunContext {
  /** Aborts when the caller left or the time is up. */
  readonly signal: AbortSignal;
  /** When the time is up, in milliseconds since the epoch: waits that do not fit are not begun. */
  readonly deadlineAt: number;
  readonly traceparent: string;
  readonly telemetry: Telemetry;
  /** Nobody waits for the answer: where there is no room, people go first. */
  readonly isBackground?: boolean | undefined;
  /** How answers that were made before may be used; without it none is used, and none is kept. */
  readonly cache?: RunCacheOptions | undefined;
}

/** What a turn has to do with answers that were made before. */
export interface RunCacheOptions {
  /** Whose answers they are: those of another scope are never seen. */
  readonly scope: string;
  /** `Cache-Control` of the request. */
  readonly control?: string | undefined;
  /** Told what became of it, once or more often; the last word counts. */
  readonly onStatus?: (status: RunCacheStatus) => void;
}

export interface RunCacheStatus {
  /** The value of `Cache-Status`. */
  readonly header: string;
  /** The answer was there, or somebody else is making it: this turn pays for no call. */
  readonly isFound: boolean;
}

/** One contribution to a conversation whose history the caller keeps. */
export interface Message {
  readonly role: 'system' | 'developer' | 'user' | 'assistant';
  readonly content: string;
}

/** What is asked, in whichever dialect it came. */
export interface AgentInput {
  readonly message: string;
  /** What was said before it, oldest first. */
  readonly earlier?: readonly Message[] | undefined;
  readonly maxOutputTokens?: number | undefined;
  readonly temperature?: number | undefined;
}

/** The whole answer of one turn. */
export interface RunResult {
  readonly response: string;
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

/** Text as it comes, then exactly one whole reply. A turn that ends otherwise throws. */
export type AgentEvent =
  | { readonly type: 'delta'; readonly text: string }
  | { readonly type: 'done'; readonly reply: RunResult };

/** Answers people and batch items alike. Every failure is a ServiceError or the signal's reason. */
export interface Agent {
  answer(request: AgentInput, context: RunContext): Promise<RunResult>;
  stream(request: AgentInput, context: RunContext): AsyncIterable<AgentEvent>;
}

export interface AgentOptions {
  readonly model: Model;
  /** The system prompt. */
  readonly instructions: string;
  readonly parameters?: ModelParameters;
}

/** How every turn asks the model. */
export interface ModelParameters {
  /** A request may ask for less, not for more. */
  readonly maxOutputTokens?: number | undefined;
  readonly temperature?: number | undefined;
}

export function createAgent({ model, instructions, parameters = {} }: AgentOptions): Agent {
  function toModelRequest(request: AgentInput): ModelRequest {
    return {
      messages: [
        { role: 'system', content: instructions },
        ...(request.earlier ?? []).map(toModelMessage),
        { role: 'user', content: request.message },
      ],
      maxOutputTokens: minDefined(request.maxOutputTokens, parameters.maxOutputTokens),
      temperature: request.temperature ?? parameters.temperature,
    };
  }
  return {
    async answer(request, context) {
      const answer = await model.complete(toModelRequest(request), context);
      return toRunResult(answer);
    },
    async *stream(request, context) {
      for await (const event of model.stream(toModelRequest(request), context)) {
        if (event.type === 'text-delta') yield { type: 'delta', text: event.text };
        else yield { type: 'done', reply: toRunResult(event.response) };
      }
    },
  };
}

/** Ours are the only instructions: those of a caller are something that the caller said. */
function toModelMessage({ role, content }: Message): ModelMessage {
  if (role === 'user' || role === 'assistant') return { role, content };
  return { role: 'user', content: `Instructions of the caller:\n${content}` };
}

function toRunResult(answer: Awaited<ReturnType<Model['complete']>>): RunResult {
  return {
    response: answer.text,
    model: answer.model,
    finishReason: answer.finishReason,
    cached: false,
    usage: answer.usage,
    toolCalls: [],
  };
}

/** What holds of what is asked and what is allowed. */
export function minDefined(
  asked: number | undefined,
  allowed: number | undefined,
): number | undefined {
  if (asked === undefined || allowed === undefined) return asked ?? allowed;
  return Math.min(asked, allowed);
}

/** What a turn is made of before it is begun, as far as its size goes. */
export interface InputSize {
  /** Every text that goes to the model. */
  readonly texts: readonly string[];
  /** Bound on the answer, where there is one. */
  readonly maxOutputTokens: number | undefined;
}

/** How much a question asks for, of an agent with these instructions and parameters. */
export function estimateInput(
  question: AgentInput,
  { instructions, parameters = {} }: { instructions: string; parameters?: ModelParameters },
): InputSize {
  const { message, earlier = [], maxOutputTokens } = question;
  return {
    texts: [instructions, ...earlier.map(({ content }) => content), message],
    maxOutputTokens: minDefined(maxOutputTokens, parameters.maxOutputTokens),
  };
}
