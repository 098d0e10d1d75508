import * as z from 'zod';
import type { AgentEvent, Message, RunResult } from '../agent/agent.ts';
import { ServiceError } from '../errors.ts';
import type { ContentPart } from '../model/model.ts';
import { imageUrl } from './openai-chat-schema.ts';
import {
  assertUserMessage,
  DONE,
  type Frame,
  isSessionId,
  newMessages,
  type Protocol,
  type SseEvent,
  type StreamEncoder,
} from './protocol.ts';
import { parseRequest } from './validation.ts';

/** Far above every bound that a setting gives; they limit the work of reading a body. */
const MAX_MESSAGES = 100_000;
const MAX_PARTS = 1_024;

const textPart = z.object({ type: z.literal('text'), text: z.string() });
const filePart = z.object({
  type: z.literal('file'),
  mediaType: z.string().startsWith('image/', 'must be an image'),
  url: imageUrl,
});
/** Reasoning, steps, sources, data and calls of tools: what a front end shows of earlier answers. */
const shownPart = z.object({
  type: z.string().refine((type) => type !== 'text' && type !== 'file', 'is not complete'),
});

const uiMessage = z.object({
  id: z.string().optional(),
  role: z.enum(['system', 'user', 'assistant']),
  parts: z.array(z.union([textPart, filePart, shownPart])).max(MAX_PARTS),
  metadata: z.unknown().optional(),
});

export const uiRequestSchema = z.object({
  id: z.string().min(1).max(256),
  messages: z.array(uiMessage).min(1).max(MAX_MESSAGES),
  trigger: z.enum(['submit-message', 'regenerate-message']),
  messageId: z.string().nullish(),
  /** The session of the chat, or null for a new one. Absent: the messages are the conversation. */
  sessionId: z.string().min(1).max(256).nullish(),
  /** The run goes on without its client, which can read its stream again from the start. */
  background: z.boolean().optional(),
});

type UiRequest = z.infer<typeof uiRequestSchema>;
type UiMessage = UiRequest['messages'][number];

/** The UI message stream of the AI SDK, version 1, as its default transport sends and reads it. */
export const aiSdkUiStream: Protocol<UiRequest> = {
  id: 'ai-sdk',
  streamHeaders: { 'x-vercel-ai-ui-message-stream': 'v1' },
  recognizes: (body) => typeof body === 'object' && body !== null && 'trigger' in body,
  parse(body) {
    const request = parseRequest(uiRequestSchema, body);
    if (request.sessionId === null && request.messages.some(isAnswer)) {
      const message =
        'Cannot accept the request: "messages" must have no answers, as "sessionId" is null; send the id of the session, or none';
      throw new ServiceError('invalid_request', message, { param: 'messages' });
    }
    if (sessionOf(request) !== undefined) assertUserMessage(request.messages);
    const last = request.messages.at(-1);
    if (last !== undefined && toMessage(last).length > 0) return request;
    const message = 'Cannot accept the request: the last of "messages" must have text or an image';
    throw new ServiceError('invalid_request', message, { param: 'messages' });
  },
  toInput(request) {
    const { messages } = request;
    const read = sessionOf(request)?.sessionId === undefined ? messages : newMessages(messages);
    return { messages: read.flatMap(toMessage), fieldNames: { messages: 'messages' } };
  },
  wantsStream: () => true,
  sessionOf,
  chatOf: ({ id }) => id,
  isBackground: ({ background }) => background ?? false,
  storage: { toJson: (request) => request, fromJson: (value) => uiRequestSchema.parse(value) },
  encodeResult: (result, frame) => toMetadata(result, frame),
  openStream: openUiStream,
};

/** A chat can also be opened by the id of its session. */
function sessionOf({
  id,
  sessionId,
}: UiRequest): { readonly sessionId: string | undefined } | undefined {
  if (sessionId === null) return { sessionId: undefined };
  const named = sessionId ?? (isSessionId(id) ? id : undefined);
  return named === undefined ? undefined : { sessionId: named };
}

function isAnswer({ role }: { readonly role: string }): boolean {
  return role === 'assistant';
}

/** Empty if the message has no content; a front end keeps those of answers that were stopped. */
function toMessage({ role, parts }: UiMessage): Message[] {
  const content = parts.flatMap((part): ContentPart[] => {
    if ('text' in part) return [{ type: 'text', text: part.text }];
    return 'url' in part ? [{ type: 'image', url: part.url }] : [];
  });
  const text = content.map((part) => (part.type === 'text' ? part.text : '')).join('');
  if (role === 'user' && content.some(({ type }) => type === 'image')) return [{ role, content }];
  return text.trim() === '' ? [] : [{ role, content: text }];
}

/** Steps and texts of one stream, of which at most one each is open. */
interface StreamWriter {
  openStep(): readonly SseEvent[];
  closeStep(): readonly SseEvent[];
  writeText(text: string): readonly SseEvent[];
  closeText(): readonly SseEvent[];
  /** Texts that have begun. */
  texts(): number;
}

/** Text and tool calls are in steps, and each text between two others is a part of its own. */
function createStreamWriter(): StreamWriter {
  let isStepOpen = false;
  let textId: string | undefined;
  let texts = 0;
  function openStep(): readonly SseEvent[] {
    if (isStepOpen) return [];
    isStepOpen = true;
    return [chunk({ type: 'start-step' })];
  }
  function closeText(): readonly SseEvent[] {
    const closed = textId === undefined ? [] : [chunk({ type: 'text-end', id: textId })];
    textId = undefined;
    return closed;
  }
  return {
    openStep,
    closeText,
    closeStep() {
      const closed = [...closeText(), ...(isStepOpen ? [chunk({ type: 'finish-step' })] : [])];
      isStepOpen = false;
      return closed;
    },
    writeText(text) {
      const events = [...openStep()];
      if (textId === undefined) {
        textId = `text-${(texts += 1)}`;
        events.push(chunk({ type: 'text-start', id: textId }));
      }
      return [...events, chunk({ type: 'text-delta', id: textId, delta: text })];
    },
    texts: () => texts,
  };
}

function openUiStream(frame: Frame<UiRequest>): StreamEncoder {
  const writer = createStreamWriter();
  function write(event: AgentEvent): readonly SseEvent[] {
    switch (event.type) {
      case 'text-delta':
        return writer.writeText(event.text);
      case 'tool-call':
        return [...writer.openStep(), ...writer.closeText(), toolInput(event)];
      case 'tool-result':
        return [toolOutput(event)];
      case 'step-end':
        return writer.closeStep();
      case 'done':
        return [
          ...writer.closeStep(),
          chunk({
            type: 'finish',
            finishReason: FINISH_REASONS[event.result.finishReason],
            messageMetadata: toMetadata(event.result, frame),
          }),
          { data: DONE },
        ];
    }
  }
  return {
    start: () => [
      chunk({
        type: 'start',
        messageId: `msg_${frame.requestId}`,
        messageMetadata: { requestId: frame.requestId, ...sessionIdOf(frame) },
      }),
    ],
    event: write,
    fail: ({ message }) => [
      ...writer.closeText(),
      chunk({ type: 'error', errorText: message }),
      { data: DONE },
    ],
    // No chunk takes text back: a front end may hide the texts before this one.
    restart: () => [
      ...writer.closeText(),
      chunk({ type: 'data-restart', data: { texts: writer.texts() } }),
    ],
    cancel: () => [...writer.closeText(), chunk({ type: 'abort' }), { data: DONE }],
  };
}

function chunk(data: Readonly<Record<string, unknown>>): SseEvent {
  return { data };
}

/** What the agent's own tools receive and return stays in the service. */
function toolInput({ id, name }: Extract<AgentEvent, { type: 'tool-call' }>): SseEvent {
  return chunk({
    type: 'tool-input-available',
    toolCallId: id,
    toolName: name,
    input: {},
    dynamic: true,
    providerExecuted: true,
  });
}

function toolOutput(event: Extract<AgentEvent, { type: 'tool-result' }>): SseEvent {
  const shared = { toolCallId: event.id, dynamic: true, providerExecuted: true };
  return event.status === 'ok'
    ? chunk({
        type: 'tool-output-available',
        output: { status: event.status, durationMs: event.durationMs },
        ...shared,
      })
    : chunk({ type: 'tool-output-error', errorText: event.status, ...shared });
}

const FINISH_REASONS = {
  stop: 'stop',
  length: 'length',
  tool_calls: 'tool-calls',
} as const satisfies Record<RunResult['finishReason'], string>;

/** Nothing where the client keeps the chat. */
function sessionIdOf({ request, sessionId }: Frame<UiRequest>) {
  return sessionOf(request) === undefined ? {} : { sessionId: sessionId?.() ?? null };
}

function toMetadata({ model, cached, usage }: RunResult, frame: Frame<UiRequest>) {
  return {
    requestId: frame.requestId,
    ...sessionIdOf(frame),
    model,
    cached,
    usage: {
      inputTokens: usage.inputTokens,
      outputTokens: usage.outputTokens,
      totalTokens: usage.totalTokens,
    },
  };
}
