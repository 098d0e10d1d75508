import { ApiError } from './api-error.ts';
import { lastUserText, type ChatRequest } from './chat-request.ts';
import { createInstance } from './create-instance.ts';
import { requestedToolCalls, type ToolCall } from './requested-tool-calls.ts';

const CHARS_PER_TOKEN = 4;
const INTRODUCTION = 'I am the development model: no real model is configured.';

/** The reply of the model, independent of how it is sent. */
export interface Reply {
  readonly text: string;
  readonly refusal?: string;
  readonly toolCalls: readonly ToolCall[];
  /** The number of tokens, if the text is generated while it is sent. */
  readonly tokenCount?: number;
  readonly finishReason: 'stop' | 'length' | 'tool_calls' | 'content_filter';
}

export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
}

/** The same request always gets the same reply. */
export function composeReply(request: ChatRequest): Reply {
  const toolCalls = requestedToolCalls(request);
  if (toolCalls.length > 0) return { text: '', toolCalls, finishReason: 'tool_calls' };
  return fitReply(fullText(request), request);
}

/**
 * Shortens a text by the caller's stop sequences and token limit, and returns which one applied.
 */
export function fitReply(text: string, request: ChatRequest): Reply {
  const stops = request.stop.filter((stop) => stop !== '').map((stop) => text.indexOf(stop));
  const end = Math.min(text.length, ...stops.filter((index) => index >= 0));
  const stopped = text.slice(0, end);
  if (request.maxTokens === undefined || countTokens(stopped) <= request.maxTokens) {
    return { text: stopped, toolCalls: [], finishReason: 'stop' };
  }
  const cut = stopped.slice(0, request.maxTokens * CHARS_PER_TOKEN).replace(/[\uD800-\uDBFF]$/, '');
  return { text: cut, toolCalls: [], finishReason: 'length' };
}

export function usageOf(request: ChatRequest, reply: Reply): Usage {
  const promptTokens = request.messages.reduce((sum, { text }) => sum + countTokens(text) + 1, 0);
  const calls = reply.toolCalls.map((call) => call.name + call.arguments).join('');
  const written = reply.text + (reply.refusal ?? '') + calls;
  const completionTokens = reply.tokenCount ?? countTokens(written);
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
  };
}

/** An approximation, but always the same one. */
export function countTokens(text: string): number {
  return Math.ceil(text.length / CHARS_PER_TOKEN);
}

/** The pieces that a stream sends; joined they are the text, byte for byte. */
export function splitIntoTokens(text: string): string[] {
  return text.match(/\s*\S{1,40}\s?|\s+/gu) ?? [];
}

function fullText(request: ChatRequest): string {
  const said = lastUserText(request);
  switch (request.responseFormat.type) {
    case 'json_schema':
      return JSON.stringify(schemaInstance(request.responseFormat.schema));
    case 'json_object':
      return JSON.stringify({ developmentModel: true, youSaid: said });
    default: {
      const results = toolResults(request);
      if (results.length === 0) return `${INTRODUCTION} You said: ${said}`;
      return `${INTRODUCTION} The tool answered: ${results.join(' | ')}`;
    }
  }
}

function schemaInstance(schema: unknown): unknown {
  try {
    return createInstance(schema);
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'unreadable';
    const param = 'response_format.json_schema.schema';
    throw new ApiError(400, `Invalid '${param}': ${reason}`, { param });
  }
}

/** The results that arrived after the model's latest tool call. */
function toolResults(request: ChatRequest): string[] {
  const lastOther = request.messages.findLastIndex((message) => message.role !== 'tool');
  return request.messages.slice(lastOther + 1).map((message) => message.text);
}
