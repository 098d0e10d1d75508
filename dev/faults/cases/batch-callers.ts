import { QueueClient } from '@azure/storage-queue';
import { RateLimitError } from 'openai';
import { JOB_QUEUE } from '../../../shared/batch/storage-names.ts';
import { type BatchClient, createBatchClient, itemLines, waitUntil } from '../batch-client.ts';
import { custom, type FaultFamily, type Finding } from '../fault-case.ts';
import type { FaultEnvironment } from '../fault-environment.ts';
import { newMarker } from '../run-case.ts';
import { WORKER_REPORTS } from '../worker-report.ts';
import { batchInputs } from './batch-inputs.ts';
import { logContents } from './log-contents.ts';

/** The output bound of each item; its answer has about two thirds of it. */
const TOKENS_PER_ITEM = 6_000;
const TOKENS_PER_DAY = 150_000;
const EXPENSIVE_ITEMS = 40;
const MAX_OPEN_BATCHES = 4;
const RETRIES = 59;
/** As many messages as one batch may have. */
const MAX_MESSAGES = 8;
const STARTED_WITHIN_MS = 30_000;
/** A batch of one item takes less than a second on an idle machine. */
const SOON_MS = 20_000;
const HONEST_ITEMS = 60;
/** What a busy machine may add to a batch beside a hostile one. */
const MAX_ADDED_MS = 5_000;

/** T1 to T12: batches that try to block those of other callers. */
export const batchCallers: FaultFamily = {
  name: 'batches beside each other',
  hasStorage: true,
  settings: {
    ...WORKER_REPORTS,
    AGENT__LIMITS__TOKENS_PER_DAY: String(TOKENS_PER_DAY),
    AGENT__MODEL__MAX_OUTPUT_TOKENS: String(TOKENS_PER_ITEM),
    AGENT__BATCH__MAX_OPEN_BATCHES: String(MAX_OPEN_BATCHES),
  },
  lanes: 1,
  cases: [
    ...batchInputs,
    ...logContents,
    custom({
      id: 'T3',
      injected: `${EXPENSIVE_ITEMS} items of ${TOKENS_PER_ITEM} tokens, with ${TOKENS_PER_DAY} a day`,
      promised: 'no more than the budget; the batch waits and says so',
      modes: ['json'],
      run: exceedBudget,
    }),
    custom({
      id: 'T3',
      injected: `more than ${MAX_OPEN_BATCHES} open batches of one caller`,
      promised: '429 with the name of the setting',
      modes: ['json'],
      run: openManyBatches,
    }),
    custom({
      id: 'T8',
      injected: 'one item beside ten shards of another caller',
      promised: `it ends within ${SOON_MS / 1_000} s`,
      modes: ['json'],
      run: runBesideShards,
    }),
    custom({
      id: 'T8',
      injected: `${RETRIES} calls of retry-failed at once`,
      promised: `at most ${MAX_MESSAGES} messages`,
      modes: ['json'],
      run: retryOften,
    }),
    ...['dev/429-always-10', 'dev/429-always', 'dev/503-always'].map((script) =>
      custom({
        id: 'T9',
        injected: `a batch whose one item always gets ${script}`,
        promised: 'batches of others keep their pace',
        modes: ['json'],
        run: (environment) => runBesideFailing(environment, script),
      }),
    ),
  ],
};

function hostileCaller({ url }: FaultEnvironment): BatchClient {
  return createBatchClient(url, '203.0.113.1');
}

function honestCaller({ url }: FaultEnvironment): BatchClient {
  return createBatchClient(url, '198.51.100.1');
}

async function exceedBudget(environment: FaultEnvironment): Promise<Finding> {
  const owner = createBatchClient(environment.url, '192.0.2.77');
  const { id } = await owner.submit(itemLines(EXPENSIVE_ITEMS, () => 'dev/long-6000 Hi'));
  let progress = await owner.progress(id);
  await waitUntil(async () => {
    progress = await owner.progress(id);
    return progress.waiting_for !== null;
  }, STARTED_WITHIN_MS);
  const results = await (await owner.client.files.content(progress.output_file_id ?? '')).text();
  const used = [...results.matchAll(/"total_tokens":(\d+)/g)].map(([, tokens]) => Number(tokens));
  const total = used.reduce((sum, one) => sum + one, 0);
  const chat = await fetch(`${environment.url}/api/chat`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-forwarded-for': '192.0.2.77' },
    body: JSON.stringify({ message: 'Hi' }),
  });
  await owner.client.batches.cancel(id);
  const reason = progress.waiting_for?.reason;
  return {
    happened: `${used.length} items used ${total} tokens; waits for ${reason}; a chat gets ${chat.status}`,
    calls: used.length,
    received: [],
    problems: [
      ...(total <= TOKENS_PER_DAY ? [] : [`${total} of ${TOKENS_PER_DAY} tokens were used`]),
      ...(total > TOKENS_PER_DAY / 2 ? [] : ['most of the budget was left']),
      ...(reason === 'budget_exhausted' ? [] : [`the batch says that it waits for ${reason}`]),
      ...(chat.status === 429 ? [] : [`a chat of the owner gets ${chat.status}`]),
    ],
  };
}

async function openManyBatches(environment: FaultEnvironment): Promise<Finding> {
  const caller = createBatchClient(environment.url, '192.0.2.78');
  const outcomes = await Promise.allSettled(
    Array.from({ length: 2 * MAX_OPEN_BATCHES }, () =>
      caller.submit(itemLines(1, () => `dev/slow-500000 ${newMarker()}`)),
    ),
  );
  const opened = outcomes.flatMap((one) => (one.status === 'fulfilled' ? [one.value.id] : []));
  const refusals = outcomes.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
  for (const id of opened) await caller.client.batches.cancel(id);
  const named = refusals.filter(
    (error) => error instanceof RateLimitError && error.message.includes('batch.max_open_batches'),
  );
  return {
    happened: `${opened.length} opened, ${named.length} refused by the setting`,
    calls: opened.length,
    received: [],
    problems: [
      ...(opened.length <= MAX_OPEN_BATCHES ? [] : [`${opened.length} batches were open`]),
      ...(named.length === refusals.length ? [] : [`refused with ${String(refusals[0])}`]),
    ],
  };
}

async function runBesideShards(environment: FaultEnvironment): Promise<Finding> {
  const hostile = hostileCaller(environment);
  const { id } = await hostile.submit(itemLines(10_000, () => 'dev/slow-50000 Hi'));
  let running = 0;
  await waitUntil(async () => {
    running = (await hostile.progress(id)).shards.running;
    return running === MAX_MESSAGES;
  }, STARTED_WITHIN_MS);
  const ms = await timeOf(
    honestCaller(environment),
    itemLines(1, () => 'dev/instant Hi'),
  );
  await hostile.client.batches.cancel(id);
  return {
    happened: `${ms} ms beside ${running} shards`,
    calls: 1,
    received: [],
    problems: [
      ...(running === MAX_MESSAGES ? [] : [`${running} shards ran`]),
      ...(ms < SOON_MS ? [] : [`the item took ${ms} ms`]),
    ],
  };
}

async function retryOften(environment: FaultEnvironment): Promise<Finding> {
  const caller = createBatchClient(environment.url, '203.0.113.8');
  const queue = new QueueClient(environment.connectionString, JOB_QUEUE);
  const { id } = await caller.submit(itemLines(20, () => 'dev/content-filter Hi'));
  await caller.ended(id);
  const before = await countMessages(queue);
  await Promise.all(
    Array.from({ length: RETRIES }, () =>
      fetch(`${environment.url}/v1/batches/${id}/retry-failed`, {
        method: 'POST',
        headers: { 'x-forwarded-for': '203.0.113.8' },
      }),
    ),
  );
  const added = (await countMessages(queue)) - before;
  await caller.ended(id);
  return {
    happened: `${added} messages`,
    calls: RETRIES,
    received: [],
    problems: added <= MAX_MESSAGES ? [] : [`${added} messages are in the queue`],
  };
}

async function countMessages(queue: QueueClient): Promise<number> {
  return (await queue.getProperties()).approximateMessagesCount ?? 0;
}

async function runBesideFailing(environment: FaultEnvironment, script: string): Promise<Finding> {
  const honest = honestCaller(environment);
  const hostile = hostileCaller(environment);
  const marker = newMarker();
  const lines = itemLines(HONEST_ITEMS, (index) => `dev/instant Question ${index}`);
  await timeOf(honest, lines);
  const quiet = await timeOf(honest, lines);
  const { id } = await hostile.submit(itemLines(1, () => `${script} ${marker}`));
  await waitUntil(() => environment.callsWith(marker).length > 0, STARTED_WITHIN_MS);
  const refused = environment.callsWith(marker).length;
  const beside = [await timeOf(honest, lines), await timeOf(honest, lines)];
  await hostile.client.batches.cancel(id);
  return {
    happened: `${HONEST_ITEMS} items in ${quiet} ms quiet, ${beside.join(' and ')} ms beside`,
    calls: environment.callsWith(marker).length,
    received: [],
    problems: [
      ...(refused > 0 ? [] : ['the hostile item has not reached the model']),
      ...(Math.max(...beside) < 2 * quiet + MAX_ADDED_MS ? [] : ['the others waited']),
    ],
  };
}

/** How long a batch takes, in ms. */
async function timeOf(caller: BatchClient, lines: string): Promise<number> {
  const startedAt = performance.now();
  const { id } = await caller.submit(lines);
  const { request_counts: counts } = await caller.ended(id);
  if (counts?.failed !== 0) throw new Error(`${counts?.failed} items of an honest batch failed`);
  return Math.round(performance.now() - startedAt);
}
