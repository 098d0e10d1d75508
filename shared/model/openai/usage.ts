import type {
  ModelEvent,
  ModelMessage,
  ModelRequest,
  ModelToolCall,
  TokenUsage,
} from '../model.ts';

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
type OutputEvent = Extract<ModelEvent, { type: 'text-delta' }> | { readonly type: 'progress' };

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
      // A chunk of hidden reasoning is about one token.
      if (event.type === 'progress') hiddenTokens += 1;
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
