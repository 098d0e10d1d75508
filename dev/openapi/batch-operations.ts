import { createBatchSchema } from '../../shared/http/batches-handler.ts';
import {
  answerSchema,
  type JsonSchema,
  type Operation,
  requestSchema,
  type Shape,
} from './operation.ts';

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
/** A page of a list. */
export function listSchema(item: Shape): JsonSchema {
  return answerSchema({
    object: '=list',
    data: [item],
    first_id: 'text?',
    last_id: 'text?',
    has_more: 'flag',
  });
}
export const ITEMS = listSchema({ id: 'text', type: 'text' });
export const PAGE = {
  after: { type: 'string', maxLength: 256 },
  limit: { type: 'integer', minimum: 1, maximum: 100, default: 20 },
} as const;
export const ORDER = { order: { enum: ['asc', 'desc'], default: 'desc' } } as const;
export const STORED = [404] as const;

export function json(description: string, schema: Readonly<Record<string, unknown>>) {
  return { 200: { description, schema } } as const;
}

/** Files and batches. */
export const BATCH_OPERATIONS: readonly Operation[] = [
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
    answers: json('A page of files', listSchema(FILE)),
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
    answers: { 200: { description: 'The lines of the file', stream: 'application/x-ndjson' } },
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
    errors: [404],
  },
  {
    id: 'batchesList',
    method: 'get',
    path: '/v1/batches',
    tag: 'batch',
    summary: 'The batches of the caller, newest first.',
    query: PAGE,
    answers: json('A page of batches', listSchema(BATCH)),
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
