import { BlobServiceClient } from '@azure/storage-blob';
import { QueueClient } from '@azure/storage-queue';
import * as z from 'zod';
import { JOB_QUEUE, RESULT_CONTAINER } from '../../../shared/batch/storage-names.ts';
import { createBatchClient, waitUntil } from '../batch-client.ts';
import { custom, type FaultCase, type Finding } from '../fault-case.ts';
import type { FaultEnvironment } from '../fault-environment.ts';
import { newMarker } from '../run-case.ts';

const MIB = 1_048_576;
const BLANK_BYTES = 3 * MIB;
const MANY_BLANK_BYTES = 60 * MIB;
/**
 * For one turn of the event loop. The app gives other work its turn after 5 ms; the rest is for
 * collections of garbage, and for code that runs for the first time.
 */
const MAX_TURN_MS = 100;
const PLANNED_WITHIN_MS = 60_000;
const REJECTED_WITHIN_MS = 20_000;
/** In the folder of uploads. */
const FOREIGN_INPUT = 'batch-input/files/file-1.jsonl';
const NESTED = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;

/** T1, T10 and T12: inputs of batches that block the worker or belong to others. */
export const batchInputs: readonly FaultCase[] = [
  ...[
    { name: 'line feeds', unit: '\n', bytes: BLANK_BYTES },
    { name: 'carriage returns with line feeds', unit: '\r\n', bytes: BLANK_BYTES },
    { name: 'lines of blanks', unit: ' \t \n', bytes: BLANK_BYTES },
    { name: 'line feeds', unit: '\n', bytes: MANY_BLANK_BYTES },
  ].map(({ name, unit, bytes }) =>
    custom({
      id: 'T1',
      injected: `${bytes / MIB} MB of ${name} as the input of a batch`,
      promised: `rejected as a whole; no turn of the event loop above ${MAX_TURN_MS} ms`,
      modes: ['json'],
      run: (environment) => submitBlanks(environment, Buffer.alloc(bytes, unit)),
    }),
  ),
  custom({
    id: 'T10',
    injected: 'a queue job without an owner, and one whose input is an upload of a caller',
    promised: '404 for each caller; a dead letter with the reason',
    modes: ['json'],
    run: sendForeignJobs,
  }),
  custom({
    id: 'T12',
    injected: 'queue messages nested 20,000 levels deep',
    promised: 'dead letters with their reason',
    modes: ['json'],
    run: sendNestedMessages,
  }),
];

async function submitBlanks(environment: FaultEnvironment, content: Buffer): Promise<Finding> {
  const caller = createBatchClient(environment.url, '203.0.113.1');
  const { id } = await caller.submit(content);
  await environment.reportWorker();
  const batch = await caller.ended(id, PLANNED_WITHIN_MS);
  const longestMs = (await environment.reportWorker())?.longestTurnMs ?? 0;
  const code = batch.errors?.data?.[0]?.code;
  return {
    happened: `${batch.status}, ${code}; longest turn ${longestMs} ms`,
    calls: 0,
    received: [],
    problems: [
      ...(code === 'too_many_blank_lines' ? [] : [`the batch is ${batch.status}, ${code}`]),
      ...(longestMs < MAX_TURN_MS ? [] : [`a turn of the event loop took ${longestMs} ms`]),
    ],
  };
}

async function sendForeignJobs(environment: FaultEnvironment): Promise<Finding> {
  const jobId = newMarker();
  const items = [{ custom_id: 'a', body: { message: `dev/instant ${jobId}` } }];
  const before = await readDeadLetters(environment);
  await send(environment, { v: 1, jobId, items });
  await send(environment, { v: 1, jobId: `${jobId}-input`, inputBlob: FOREIGN_INPUT });
  const hasRun = (): boolean => environment.callsWith(jobId).length > 0;
  await waitUntil(hasRun, REJECTED_WITHIN_MS);
  const reasons = await newDeadLetters(environment, { before, count: 1 });
  const statuses = await Promise.all(
    ['', '/cancel', '/retry-failed'].map(async (action) => {
      const method = action === '' ? 'GET' : 'POST';
      const headers = { 'x-forwarded-for': '203.0.113.9' };
      return (await fetch(`${environment.url}/v1/batches/${jobId}${action}`, { method, headers }))
        .status;
    }),
  );
  return {
    happened: `${statuses.join(', ')}; ${reasons.join('; ')}`,
    calls: environment.callsWith(jobId).length,
    received: [],
    problems: [
      ...(hasRun() ? [] : ['the job without an owner has not run']),
      ...(statuses.every((status) => status === 404) ? [] : ['a caller reaches the job']),
      ...(reasons.some((reason) => reason.includes('outside of files/'))
        ? []
        : ['an upload was accepted as the input of a queue job']),
    ],
  };
}

async function sendNestedMessages(environment: FaultEnvironment): Promise<Finding> {
  const before = await readDeadLetters(environment);
  for (const message of [NESTED, `{"v":1,"jobId":${NESTED}}`]) await send(environment, message);
  const reasons = await newDeadLetters(environment, { before, count: 2 });
  const isNamed = reasons.every((reason) => reason.startsWith('The message is not a job: '));
  return {
    happened: `${reasons.length} dead letters`,
    calls: 0,
    received: [],
    problems: reasons.length === 2 && isNamed ? [] : [`the reasons are: ${reasons.join('; ')}`],
  };
}

async function send({ connectionString }: FaultEnvironment, message: unknown): Promise<void> {
  const text = typeof message === 'string' ? message : JSON.stringify(message);
  await new QueueClient(connectionString, JOB_QUEUE).sendMessage(text);
}

const letterSchema = z.object({ reason: z.string() });

/** The reasons of the dead letters by the names of their blobs. */
async function readDeadLetters({
  connectionString,
}: FaultEnvironment): Promise<ReadonlyMap<string, string>> {
  const service = BlobServiceClient.fromConnectionString(connectionString);
  const container = service.getContainerClient(RESULT_CONTAINER);
  const reasons = new Map<string, string>();
  for await (const { name } of container.listBlobsFlat({ prefix: '_dead-letters/' })) {
    const text = (await container.getBlobClient(name).downloadToBuffer()).toString();
    reasons.set(name, letterSchema.parse(JSON.parse(text)).reason);
  }
  return reasons;
}

async function newDeadLetters(
  environment: FaultEnvironment,
  { before, count }: { readonly before: ReadonlyMap<string, string>; readonly count: number },
): Promise<readonly string[]> {
  let reasons: readonly string[] = [];
  await waitUntil(async () => {
    const letters = [...(await readDeadLetters(environment))];
    reasons = letters.filter(([name]) => !before.has(name)).map(([, reason]) => reason);
    return reasons.length >= count;
  }, REJECTED_WITHIN_MS);
  return reasons;
}
