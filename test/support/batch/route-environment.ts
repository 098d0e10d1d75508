import { HttpRequest, type HttpHandler, type HttpRequestInit } from '@azure/functions';
import { createAzureBlobContainer } from '../../../shared/storage/azure/azure-blob-container.ts';
import { createBatch } from '../../../shared/batch/create-batch.ts';
import { createAzureJobSender } from '../../../shared/batch/azure-job-queue.ts';
import { requestTimeouts } from '../../../shared/storage/azure/storage-timeouts.ts';
import { INPUT_CONTAINER, RESULT_CONTAINER } from '../../../shared/batch/storage-names.ts';
import { systemClock } from '../../../shared/clock.ts';
import {
  handleGetBatch,
  handleCancelBatch,
  handleCreateBatch,
  handleListBatches,
  handleRetryBatch,
} from '../../../shared/http/batches-handler.ts';
import {
  handleGetFile,
  handleGetFileContent,
  handleDeleteFile,
  handleListFiles,
  handleUploadFile,
} from '../../../shared/http/files-handler.ts';
import { authenticatedHandler } from '../../../shared/http/admission.ts';
import { bodyLimits, openAdmission } from '../public-handler.ts';
import { createRecordedTelemetry, type RecordedTelemetry } from '../recorded-telemetry.ts';
import { createScriptedAgent } from './scripted-agent.ts';

const ROUTES = {
  upload: handleUploadFile,
  file: handleGetFile,
  content: handleGetFileContent,
  removal: handleDeleteFile,
  files: handleListFiles,
  create: handleCreateBatch,
  batch: handleGetBatch,
  list: handleListBatches,
  cancel: handleCancelBatch,
  retry: handleRetryBatch,
} as const;

export type RouteName = keyof typeof ROUTES;

export interface RouteEnvironment {
  readonly handlers: Readonly<Record<RouteName, HttpHandler>>;
  readonly telemetry: RecordedTelemetry;
  /** Whether batch is ready, as readiness would ask. */
  ping(): Promise<void>;
}

/** The routes of files and batches as they are wired, on the storage of the connection string. */
export function createRouteEnvironment(connectionString: string): RouteEnvironment {
  const telemetry = createRecordedTelemetry();
  const connection = { kind: 'connectionString', connectionString } as const;
  // A second for each call: enough for a storage beside us, and soon over when it is silent.
  const timeouts = requestTimeouts(6_000);
  const container = (name: string) =>
    createAzureBlobContainer({ connection, container: name, telemetry, timeouts });
  const batch = createBatch({
    agent: createScriptedAgent(),
    publicModel: 'assistant',
    inputs: container(INPUT_CONTAINER),
    results: container(RESULT_CONTAINER),
    sender: createAzureJobSender(connection, timeouts),
    concurrency: 4,
    instanceConcurrency: 4,
    jobDeadlineMs: 60_000,
    itemDeadlineMs: 60_000,
    clock: systemClock,
    telemetry,
  });
  const service = {
    ...openAdmission,
    telemetry,
    requestBody: bodyLimits(262_144),
    slowReaderTimeoutMs: 30_000,
    uploadBody: bodyLimits(67_108_864),
    batch: async () => batch,
  };
  const handlers = Object.fromEntries(
    Object.entries(ROUTES).map(([name, answer]) => [
      name,
      authenticatedHandler(async () => service, answer),
    ]),
  ) as Record<RouteName, HttpHandler>;
  return { handlers, telemetry, ping: () => batch.store.ping(new AbortController().signal) };
}

/** A request for the thing with an id; without one for the whole kind. */
export function requestFor(id?: string): HttpRequest {
  const params = id === undefined ? {} : { id };
  return new HttpRequest({ url: 'http://127.0.0.1/v1/any', method: 'GET', params });
}

/** The form that uploads a file of so many lines. */
export function uploadOf(text: string): HttpRequest {
  const form = new FormData();
  form.set('purpose', 'batch');
  form.set('file', new Blob([text]), 'in.jsonl');
  const nativeRequest = new Request('http://127.0.0.1/v1/files', { method: 'POST', body: form });
  return new HttpRequest({ nativeRequest } as HttpRequestInit);
}

/** Asks for a batch of an uploaded file. */
export function creationOf(fileId: string): HttpRequest {
  const wanted = {
    input_file_id: fileId,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
  };
  return new HttpRequest({
    url: 'http://127.0.0.1/v1/batches',
    method: 'POST',
    body: { string: JSON.stringify(wanted) },
    headers: { 'content-type': 'application/json' },
  });
}
