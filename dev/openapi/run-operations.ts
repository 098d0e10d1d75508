import { chatRequestSchema } from '../../shared/protocols/chat-api.ts';
import { aiChatRequestSchema } from '../../shared/protocols/ai-chat-protocol.ts';
import { uiRequestSchema } from '../../shared/protocols/ai-sdk-ui-stream.ts';
import { mcpMessageSchema } from '../../shared/protocols/mcp.ts';
import { completionsSchema } from '../../shared/protocols/openai-chat-schema.ts';
import { responsesSchema } from '../../shared/protocols/openai-responses-schema.ts';
import { answerSchema, type Operation, requestSchema } from './operation.ts';

const CHAT_ANSWER = answerSchema({
  response: 'text',
  sessionId: 'text?',
  requestId: 'text',
  model: 'text',
  finishReason: 'text',
  cached: 'flag',
  usage: { inputTokens: 'whole', outputTokens: 'whole', totalTokens: 'whole' },
  toolCalls: [{ name: 'text', status: 'text', durationMs: 'number' }],
});
const AI_CHAT_ANSWER = answerSchema({
  message: { role: '=assistant', content: 'text' },
  'sessionState?': 'any',
  context: 'any',
});
const COMPLETION = answerSchema({
  id: 'text',
  object: '=chat.completion',
  created: 'whole',
  model: 'text',
  choices: [
    { index: 'whole', message: { role: '=assistant', content: 'text?' }, finish_reason: 'text' },
  ],
  usage: { prompt_tokens: 'whole', completion_tokens: 'whole', total_tokens: 'whole' },
});
export const RESPONSE = answerSchema({
  id: 'text',
  object: '=response',
  created_at: 'number',
  status: 'text',
  model: 'text',
  output: ['any'],
});
/** A run in the background; when it is completed, with the fields of an answer. */
const CHAT_RUN = answerSchema({
  id: 'text',
  status: 'text',
  requestId: 'text',
  'response?': 'text',
  'error?': { message: 'text', code: 'text' },
});
const JSON_RPC = answerSchema({
  jsonrpc: '=2.0',
  id: 'any',
  'result?': 'any',
  'error?': 'any',
});
const SESSION = { sessionId: 'text', createdAt: 'text', changedAt: 'text' };

const RUN_ERRORS = [404, 502, 504] as const;
const ID_PAGE = {
  after: { type: 'string', maxLength: 256 },
  limit: { type: 'integer', minimum: 1, maximum: 100, default: 20 },
} as const;

/** The routes that run the agent, and what they leave behind. */
export const RUN_OPERATIONS: readonly Operation[] = [
  {
    id: 'chat',
    method: 'post',
    path: '/api/chat',
    tag: 'chat',
    summary:
      'Ask the agent. The shape of the body distinguishes the API of the service, the AI Chat Protocol and the AI SDK.',
    body: {
      schema: {
        anyOf: [chatRequestSchema, aiChatRequestSchema, uiRequestSchema].map(requestSchema),
      },
      examples: {
        message: { message: 'Hello, test message' },
        protocol: { messages: [{ role: 'user', content: 'Hello' }] },
        aiSdk: {
          id: 'chat-1',
          trigger: 'submit-message',
          messages: [{ role: 'user', parts: [{ type: 'text', text: 'Hello' }] }],
        },
      },
    },
    answers: {
      200: {
        description: 'The answer, whole or as a stream, or the state of a run in the background',
        schema: { anyOf: [CHAT_ANSWER, AI_CHAT_ANSWER, CHAT_RUN] },
        stream: 'text/event-stream',
      },
    },
    errors: RUN_ERRORS,
  },
  {
    id: 'chatStream',
    method: 'post',
    path: '/api/chat/stream',
    tag: 'chat',
    summary: 'Ask the agent by the AI Chat Protocol, with one JSON value on each line.',
    body: {
      schema: requestSchema(aiChatRequestSchema),
      examples: { protocol: { messages: [{ role: 'user', content: 'Hello' }] } },
    },
    answers: { 200: { description: 'Lines of JSON', stream: 'application/jsonl' } },
    errors: RUN_ERRORS,
  },
  {
    id: 'chatResume',
    method: 'get',
    path: '/api/chat/{id}/stream',
    tag: 'chat',
    summary: 'The stream of the active run of a chat of the AI SDK, from its first event on.',
    answers: {
      200: { description: 'The stream', stream: 'text/event-stream' },
      204: { description: 'The chat has no active run in the background' },
    },
  },
  {
    id: 'chatStop',
    method: 'post',
    path: '/api/chat/{id}/stop',
    tag: 'chat',
    summary: 'End the active run of a chat of the AI SDK.',
    answers: {
      200: {
        description: 'Whether there was one',
        schema: answerSchema({ id: 'text', stopped: 'flag' }),
      },
    },
  },
  {
    id: 'chatRunsGet',
    method: 'get',
    path: '/api/chat/{id}',
    tag: 'chat',
    summary: 'A chat in the background: its state, its answer, or its events again.',
    query: {
      stream: { enum: ['true', 'false'] },
      starting_after: { type: 'integer', minimum: 0 },
    },
    answers: {
      200: { description: 'The run', schema: CHAT_RUN, stream: 'text/event-stream' },
    },
    errors: [404],
  },
  {
    id: 'chatRunsCancel',
    method: 'post',
    path: '/api/chat/{id}/cancel',
    tag: 'chat',
    summary: 'Cancel a chat in the background.',
    answers: { 200: { description: 'The run', schema: CHAT_RUN } },
    errors: [404],
  },
  {
    id: 'sessionsList',
    method: 'get',
    path: '/api/sessions',
    tag: 'sessions',
    summary: 'The sessions of the caller, newest first.',
    query: ID_PAGE,
    answers: {
      200: {
        description: 'A page of sessions',
        schema: answerSchema({ sessions: [SESSION], hasMore: 'flag' }),
      },
    },
  },
  {
    id: 'sessionsGet',
    method: 'get',
    path: '/api/sessions/{id}',
    tag: 'sessions',
    summary: 'A session with a page of its messages, oldest first.',
    query: ID_PAGE,
    answers: {
      200: {
        description: 'The session',
        schema: answerSchema({
          ...SESSION,
          messages: [{ id: 'text', role: 'text' }],
          hasMore: 'flag',
        }),
      },
    },
    errors: [404],
  },
  {
    id: 'sessionsDelete',
    method: 'delete',
    path: '/api/sessions/{id}',
    tag: 'sessions',
    summary: 'Delete a session at once.',
    answers: {
      200: { description: 'Deleted', schema: answerSchema({ sessionId: 'text', deleted: 'flag' }) },
    },
    errors: [404, 409],
  },
  {
    id: 'completions',
    method: 'post',
    path: '/v1/chat/completions',
    tag: 'openai',
    summary: 'Ask the agent as OpenAI clients do.',
    body: {
      schema: requestSchema(completionsSchema),
      examples: { text: { model: 'agent', messages: [{ role: 'user', content: 'Hello' }] } },
    },
    answers: {
      200: { description: 'The answer', schema: COMPLETION, stream: 'text/event-stream' },
    },
    errors: RUN_ERRORS,
  },
  {
    id: 'responsesCreate',
    method: 'post',
    path: '/v1/responses',
    tag: 'openai',
    summary: 'Ask the agent by the Responses API, also in the background.',
    body: {
      schema: requestSchema(responsesSchema),
      examples: { text: { model: 'agent', input: 'Hello' } },
    },
    answers: {
      200: { description: 'The response', schema: RESPONSE, stream: 'text/event-stream' },
    },
    errors: RUN_ERRORS,
  },
  {
    id: 'mcp',
    method: 'post',
    path: '/mcp',
    tag: 'mcp',
    summary: 'The agent as an MCP server with the tool ask, over Streamable HTTP.',
    body: {
      schema: requestSchema(mcpMessageSchema),
      examples: { ping: { jsonrpc: '2.0', id: 1, method: 'ping' } },
    },
    answers: {
      200: {
        description: 'The result of the call',
        schema: JSON_RPC,
        stream: 'text/event-stream',
      },
      202: { description: 'A notification was accepted' },
      400: { description: 'The body is no call', schema: JSON_RPC, mayBeProblem: true },
    },
    errors: [405],
  },
];
