import type { AgentEvent, RunResult } from '../agent/agent.ts';
import type { ModelToolCall, TokenUsage } from '../model/model.ts';
import { parseCompletionsRequest, toAgentInput } from './openai-chat-request.ts';
import type { CompletionsRequest } from './openai-chat-schema.ts';
import { toProblem } from './problem-details.ts';
import { DONE, OPENAI_ERROR_CODES, type Frame, type Protocol, type SseEvent } from './protocol.ts';

/** The protocol of OpenAI clients: unnamed chunks and an end mark. An error also ends a stream. */
export const openAiChatCompletions: Protocol<CompletionsRequest> = {
  id: 'openai.chat-completions',
  batchUrl: '/v1/chat/completions',
  recognizes: (body) => typeof body === 'object' && body !== null && 'messages' in body,
  parse: parseCompletionsRequest,
  toInput: toAgentInput,
  errorCodes: OPENAI_ERROR_CODES,
  wantsStream: ({ stream }) => stream ?? false,
  encodeResult: toChatCompletion,
  openStream: (frame) => ({
    start: () => [toChunk({ role: 'assistant', content: '' }, { frame })],
    event: (event) => toEvents(event, frame),
    fail: (error) => [{ data: { error: toProblem(error, frame.requestId).error } }],
  }),
};

type CompletionFrame = Frame<CompletionsRequest>;

function toChatCompletion(result: RunResult, frame: CompletionFrame) {
  return {
    ...toHead('chat.completion', frame),
    choices: [
      {
        index: 0,
        message: toMessage(result),
        logprobs: null,
        finish_reason: result.finishReason,
      },
    ],
    usage: toUsage(result.usage),
  };
}

function toMessage({ text, refusal, clientToolCalls = [] }: RunResult) {
  const message = {
    role: 'assistant',
    content: refusal === undefined && (text !== '' || clientToolCalls.length === 0) ? text : null,
    refusal: refusal ?? null,
  };
  return clientToolCalls.length === 0
    ? message
    : { ...message, tool_calls: clientToolCalls.map(toToolCall) };
}

function toToolCall({ id, name, arguments: text }: ModelToolCall) {
  return { id, type: 'function', function: { name, arguments: text } };
}

function toEvents(event: AgentEvent, frame: CompletionFrame): readonly SseEvent[] {
  switch (event.type) {
    case 'text-delta':
      return [
        toChunk(event.isRefusal === true ? { refusal: event.text } : { content: event.text }, {
          frame,
        }),
      ];
    case 'done':
      return toLastEvents(event.result, frame);
    case 'tool-call':
    case 'tool-result':
    case 'step-end':
      // The agent runs its tools itself; in this protocol a tool call is a request to the client.
      return [];
  }
}

function toLastEvents(result: RunResult, frame: CompletionFrame): SseEvent[] {
  const { finishReason, usage, clientToolCalls = [] } = result;
  const calls = clientToolCalls.flatMap((call, index) => [
    toChunk({ tool_calls: [{ index, ...toToolCall({ ...call, arguments: '' }) }] }, { frame }),
    toChunk({ tool_calls: [{ index, function: { arguments: call.arguments } }] }, { frame }),
  ]);
  const last = toChunk({}, { frame, finishReason });
  const { stream_options: options } = frame.request;
  if (options?.include_usage !== true) return [...calls, last, { data: DONE }];
  const head = toHead('chat.completion.chunk', frame);
  const total = { data: { ...head, choices: [], usage: toUsage(usage) } };
  return [...calls, last, total, { data: DONE }];
}

interface ChunkOptions {
  readonly frame: CompletionFrame;
  readonly finishReason?: RunResult['finishReason'];
}

function toChunk(
  delta: Readonly<Record<string, unknown>>,
  { frame, finishReason }: ChunkOptions,
): SseEvent {
  return {
    data: {
      ...toHead('chat.completion.chunk', frame),
      choices: [{ index: 0, delta, logprobs: null, finish_reason: finishReason ?? null }],
    },
  };
}

function toHead(object: string, { requestId, startedAt, publicModel: model }: CompletionFrame) {
  return { id: `chatcmpl-${requestId}`, object, created: Math.floor(startedAt / 1_000), model };
}

function toUsage({ inputTokens, outputTokens, totalTokens, cachedInputTokens }: TokenUsage) {
  return {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: totalTokens,
    ...(cachedInputTokens === undefined
      ? {}
      : { prompt_tokens_details: { cached_tokens: cachedInputTokens } }),
  };
}
