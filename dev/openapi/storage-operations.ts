import {
  addItemsSchema,
  createConversationSchema,
  updateConversationSchema,
} from '../../shared/http/conversations-handler.ts';
import { responsesSchema } from '../../shared/protocols/openai-responses-schema.ts';
import { BATCH_OPERATIONS, ITEMS, json, ORDER, PAGE, STORED } from './batch-operations.ts';
import { answerSchema, type Operation, requestSchema } from './operation.ts';
import { RESPONSE } from './run-operations.ts';

const CONVERSATION = answerSchema({ id: 'text', object: '=conversation', created_at: 'number' });
const MODEL = { id: 'text', object: '=model', created: 'whole', owned_by: 'text' } as const;
const RESPONSES: readonly Operation[] = [
  {
    id: 'responsesGet',
    method: 'get',
    path: '/v1/responses/{id}',
    tag: 'openai',
    summary: 'A stored response, or its events from a number on.',
    query: { stream: { enum: ['true', 'false'] }, starting_after: { type: 'integer', minimum: 0 } },
    answers: {
      200: { description: 'The response', schema: RESPONSE, stream: 'text/event-stream' },
    },
    errors: STORED,
  },
  {
    id: 'responsesDelete',
    method: 'delete',
    path: '/v1/responses/{id}',
    tag: 'openai',
    summary: 'Delete a stored response.',
    answers: json('Deleted', answerSchema({ id: 'text', deleted: 'flag' })),
    errors: STORED,
  },
  {
    id: 'responsesCancel',
    method: 'post',
    path: '/v1/responses/{id}/cancel',
    tag: 'openai',
    summary: 'Cancel a response in the background.',
    answers: json('The response', RESPONSE),
    errors: STORED,
  },
  {
    id: 'responsesInputTokens',
    method: 'post',
    path: '/v1/responses/input_tokens',
    tag: 'openai',
    summary: 'Estimate the input tokens of a request.',
    body: {
      schema: requestSchema(responsesSchema),
      examples: { text: { model: 'agent', input: 'Hello' } },
    },
    answers: json(
      'The estimate',
      answerSchema({ object: '=response.input_tokens', input_tokens: 'whole' }),
    ),
    errors: STORED,
  },
  {
    id: 'responsesInputItems',
    method: 'get',
    path: '/v1/responses/{id}/input_items',
    tag: 'openai',
    summary: 'The input of a stored response.',
    query: { ...PAGE, ...ORDER },
    answers: json('A page of items', ITEMS),
    errors: STORED,
  },
];

const CONVERSATIONS: readonly Operation[] = [
  {
    id: 'conversationsCreate',
    method: 'post',
    path: '/v1/conversations',
    tag: 'openai',
    summary: 'Begin a conversation.',
    body: { schema: requestSchema(createConversationSchema), examples: { empty: {} } },
    answers: json('The conversation', CONVERSATION),
  },
  {
    id: 'conversationsGet',
    method: 'get',
    path: '/v1/conversations/{id}',
    tag: 'openai',
    summary: 'A conversation.',
    answers: json('The conversation', CONVERSATION),
    errors: STORED,
  },
  {
    id: 'conversationsUpdate',
    method: 'post',
    path: '/v1/conversations/{id}',
    tag: 'openai',
    summary: 'Change the metadata of a conversation.',
    body: {
      schema: requestSchema(updateConversationSchema),
      examples: { metadata: { metadata: { topic: 'weather' } } },
    },
    answers: json('The conversation', CONVERSATION),
    errors: [404, 409],
  },
  {
    id: 'conversationsDelete',
    method: 'delete',
    path: '/v1/conversations/{id}',
    tag: 'openai',
    summary: 'Delete a conversation.',
    answers: json('Deleted', answerSchema({ id: 'text', deleted: 'flag' })),
    errors: [404, 409],
  },
  {
    id: 'conversationsItemsList',
    method: 'get',
    path: '/v1/conversations/{id}/items',
    tag: 'openai',
    summary: 'The items of a conversation.',
    query: { ...PAGE, ...ORDER },
    answers: json('A page of items', ITEMS),
    errors: STORED,
  },
  {
    id: 'conversationsItemsAdd',
    method: 'post',
    path: '/v1/conversations/{id}/items',
    tag: 'openai',
    summary: 'Add items to a conversation.',
    body: {
      schema: requestSchema(addItemsSchema),
      examples: { message: { items: [{ type: 'message', role: 'user', content: 'Hello' }] } },
    },
    answers: json('The items', ITEMS),
    errors: [404, 409],
  },
  {
    id: 'conversationsItemsGet',
    method: 'get',
    path: '/v1/conversations/{id}/items/{itemId}',
    tag: 'openai',
    summary: 'One item of a conversation.',
    answers: json('The item', answerSchema({ id: 'text', type: 'text' })),
    errors: STORED,
  },
  {
    id: 'conversationsItemsDelete',
    method: 'delete',
    path: '/v1/conversations/{id}/items/{itemId}',
    tag: 'openai',
    summary: 'Delete an item of a conversation.',
    answers: json('The conversation', CONVERSATION),
    errors: [404, 409],
  },
];

const READINESS = answerSchema({
  status: 'text',
  chat: { status: 'text' },
  batch: { status: 'text' },
});

const OPEN: readonly Operation[] = [
  {
    id: 'health',
    method: 'get',
    path: '/health',
    tag: 'operations',
    summary: 'Liveness: the process responds. No dependency is checked.',
    isOpen: true,
    answers: json('Healthy', answerSchema({ status: '=healthy', version: 'text' })),
  },
  ...(['/ready', '/health/ready'] as const).map((path): Operation => ({
    id: path === '/ready' ? 'ready' : 'healthReady',
    method: 'get',
    path,
    tag: 'operations',
    summary: 'Readiness of chat and batch, and of what they need.',
    isOpen: true,
    answers: {
      200: { description: 'Ready or degraded', schema: READINESS },
      503: {
        description: 'No chat can succeed; an error if a setting is missing',
        schema: READINESS,
        mayBeProblem: true,
      },
    },
  })),
  {
    id: 'page',
    method: 'get',
    path: '/',
    tag: 'operations',
    summary: 'The page for people.',
    isOpen: true,
    answers: { 200: { description: 'HTML', contentType: 'text/html', schema: { type: 'string' } } },
    errors: [404],
  },
  {
    id: 'openapi',
    method: 'get',
    path: '/openapi.json',
    tag: 'operations',
    summary: 'This document.',
    isOpen: true,
    answers: json('The document', answerSchema({ openapi: 'text', paths: 'any' })),
  },
];

/** Files, batches, what is stored, models and operations. */
export const STORAGE_OPERATIONS: readonly Operation[] = [
  ...RESPONSES,
  ...CONVERSATIONS,
  ...BATCH_OPERATIONS,
  {
    id: 'models',
    method: 'get',
    path: '/v1/models',
    tag: 'openai',
    summary: 'The agent as the only model.',
    answers: json('The models', answerSchema({ object: '=list', data: [MODEL] })),
  },
  {
    id: 'modelsGet',
    method: 'get',
    path: '/v1/models/{id}',
    tag: 'openai',
    summary: 'The agent as a model.',
    answers: json('The model', answerSchema(MODEL)),
    errors: [404],
  },
  {
    id: 'metrics',
    method: 'get',
    path: '/metrics',
    tag: 'operations',
    summary: 'The measurements of one instance.',
    answers: {
      200: {
        description: 'Prometheus text',
        contentType: 'text/plain',
        schema: { type: 'string' },
      },
    },
  },
  ...OPEN,
];
