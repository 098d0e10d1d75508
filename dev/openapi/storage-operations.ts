import { createBatchSchema } from '../../shared/http/batches-handler.ts';
import {
  addItemsSchema,
  createConversationSchema,
  updateConversationSchema,
} from '../../shared/http/conversations-handler.ts';
import { answerSchema, type Operation, requestSchema } from './operation.ts';
import { RESPONSE } from './run-operations.ts';

const FILE = {
  id: 'text',
  object: '=file',
  bytes: 'whole',
  created_at: 'whole',
  filename: 'text',
  purpose: 'text',
} as const;
const BATCH = {
  id: 'text',
  object: '=batch',
  endpoint: 'text',
  status: 'text',
  created_at: 'whole',
  request_counts: { total: 'whole', completed: 'whole', failed: 'whole' },
} as const;
const CONVERSATION = answerSchema({ id: 'text', object: '=conversation', created_at: 'number' });
const LIST = answerSchema({ object: '=list', data: ['any'], has_more: 'flag' });
const MODEL = { id: 'text', object: '=model', created: 'whole', owned_by: 'text' } as const;
const PAGE = {
  after: { type: 'string', maxLength: 256 },
  limit: { type: 'integer', minimum: 1, maximum: 100, default: 20 },
} as const;
const ORDER = { order: { enum: ['asc', 'desc'], default: 'desc' } } as const;
const STORED = [404, 503] as const;

function json(description: string, schema: Readonly<Record<string, unknown>>) {
  return { 200: { description, schema } } as const;
}

const BATCHES: readonly Operation[] = [
  {
    id: 'filesCreate',
    method: 'post',
    path: '/v1/files',
    tag: 'batch',
    summary: 'Upload the items of a batch, one JSON value on each line.',
    body: {
      contentType: 'multipart/form-data',
      schema: {
        type: 'object',
        required: ['purpose', 'file'],
        properties: {
          purpose: { enum: ['batch'] },
          file: { type: 'string', contentMediaType: 'application/octet-stream' },
          'expires_after[anchor]': { const: 'created_at' },
          'expires_after[seconds]': { type: 'integer', minimum: 3600, maximum: 2_592_000 },
        },
      },
      examples: {},
    },
    answers: json('The file', answerSchema(FILE)),
    errors: [408, 413, 415, 503],
  },
  {
    id: 'filesList',
    method: 'get',
    path: '/v1/files',
    tag: 'batch',
    summary: 'The files of the caller.',
    query: {
      ...PAGE,
      limit: { type: 'integer', minimum: 1, maximum: 10_000 },
      ...ORDER,
      purpose: { type: 'string', maxLength: 64 },
    },
    answers: json('A page of files', LIST),
    errors: [503],
  },
  {
    id: 'filesGet',
    method: 'get',
    path: '/v1/files/{id}',
    tag: 'batch',
    summary: 'What is known of a file.',
    answers: json('The file', answerSchema(FILE)),
    errors: STORED,
  },
  {
    id: 'filesContent',
    method: 'get',
    path: '/v1/files/{id}/content',
    tag: 'batch',
    summary: 'The content of a file.',
    answers: { 200: { description: 'The lines of the file', stream: 'application/jsonl' } },
    errors: STORED,
  },
  {
    id: 'filesDelete',
    method: 'delete',
    path: '/v1/files/{id}',
    tag: 'batch',
    summary: 'Delete a file.',
    answers: json('Deleted', answerSchema({ id: 'text', object: '=file', deleted: 'flag' })),
    errors: STORED,
  },
  {
    id: 'batchesCreate',
    method: 'post',
    path: '/v1/batches',
    tag: 'batch',
    summary: 'Start a batch of an uploaded file.',
    body: {
      schema: requestSchema(createBatchSchema),
      examples: {
        unknownFile: {
          input_file_id: 'file-0',
          endpoint: '/v1/chat/completions',
          completion_window: '24h',
        },
      },
    },
    answers: json('The batch', answerSchema(BATCH)),
    errors: [404, 413, 415, 503],
  },
  {
    id: 'batchesList',
    method: 'get',
    path: '/v1/batches',
    tag: 'batch',
    summary: 'The batches of the caller, newest first.',
    query: PAGE,
    answers: json('A page of batches', LIST),
    errors: [503],
  },
  {
    id: 'batchesGet',
    method: 'get',
    path: '/v1/batches/{id}',
    tag: 'batch',
    summary: 'A batch with live counts.',
    answers: json('The batch', answerSchema(BATCH)),
    errors: STORED,
  },
  {
    id: 'batchesCancel',
    method: 'post',
    path: '/v1/batches/{id}/cancel',
    tag: 'batch',
    summary: 'Cancel a batch.',
    answers: json('The batch', answerSchema(BATCH)),
    errors: STORED,
  },
  {
    id: 'batchesRetryFailed',
    method: 'post',
    path: '/v1/batches/{id}/retry-failed',
    tag: 'batch',
    summary: 'Run the failed items of a batch again.',
    answers: json('The batch', answerSchema(BATCH)),
    errors: STORED,
  },
];

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
    id: 'responsesInputItems',
    method: 'get',
    path: '/v1/responses/{id}/input_items',
    tag: 'openai',
    summary: 'The input of a stored response.',
    query: { ...PAGE, ...ORDER },
    answers: json('A page of items', LIST),
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
    errors: [413, 415, 503],
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
    errors: [404, 409, 413, 415, 503],
  },
  {
    id: 'conversationsDelete',
    method: 'delete',
    path: '/v1/conversations/{id}',
    tag: 'openai',
    summary: 'Delete a conversation.',
    answers: json('Deleted', answerSchema({ id: 'text', deleted: 'flag' })),
    errors: [404, 409, 503],
  },
  {
    id: 'conversationsItemsList',
    method: 'get',
    path: '/v1/conversations/{id}/items',
    tag: 'openai',
    summary: 'The items of a conversation.',
    query: { ...PAGE, ...ORDER },
    answers: json('A page of items', LIST),
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
    answers: json('The items', LIST),
    errors: [404, 409, 413, 415, 503],
  },
  {
    id: 'conversationsItemsGet',
    method: 'get',
    path: '/v1/conversations/{id}/items/{itemId}',
    tag: 'openai',
    summary: 'One item of a conversation.',
    answers: json('The item', { type: 'object' }),
    errors: STORED,
  },
  {
    id: 'conversationsItemsDelete',
    method: 'delete',
    path: '/v1/conversations/{id}/items/{itemId}',
    tag: 'openai',
    summary: 'Delete an item of a conversation.',
    answers: json('The conversation', CONVERSATION),
    errors: [404, 409, 503],
  },
];

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
      200: {
        description: 'Ready or degraded',
        schema: answerSchema({
          status: 'text',
          chat: { status: 'text' },
          batch: { status: 'text' },
        }),
      },
    },
    errors: [503],
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
  ...BATCHES,
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
    errors: [503],
  },
  ...OPEN,
];
