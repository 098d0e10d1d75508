import type { TokenUsage } from '../model/model.ts';
import type { Reply } from '../agent/agent.ts';

/** What all parts of one answer have in common. */
export interface CompletionFrame {
  /** Quoted by callers; the request id makes it findable in the log. */
  readonly requestId: string;
  /** Seconds since the epoch. */
  readonly created: number;
}

/** A whole answer in the shape that OpenAI clients read. */
export function toCompletion(reply: Reply, frame: CompletionFrame) {
  return {
    ...head('chat.completion', frame, reply.model),
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: reply.response, refusal: null },
        logprobs: null,
        finish_reason: reply.finishReason,
      },
    ],
    usage: toUsage(reply.usage),
  };
}

/** One piece of a streamed answer. */
export function toChunk(
  delta: { readonly role?: 'assistant'; readonly content?: string },
  { frame, model, finishReason = null }: ChunkOptions,
) {
  return {
    ...head('chat.completion.chunk', frame, model),
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finishReason }],
  };
}

/** The last piece of a stream whose caller asked for the usage. */
export function toUsageChunk(reply: Reply, frame: CompletionFrame) {
  return {
    ...head('chat.completion.chunk', frame, reply.model),
    choices: [],
    usage: toUsage(reply.usage),
  };
}

interface ChunkOptions {
  readonly frame: CompletionFrame;
  readonly model: string;
  readonly finishReason?: Reply['finishReason'] | null;
}

function head(object: string, { requestId, created }: CompletionFrame, model: string) {
  return { id: `chatcmpl-${requestId}`, object, created, model };
}

function toUsage({ inputTokens, outputTokens, totalTokens }: TokenUsage) {
  return {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: totalTokens,
  };
}
