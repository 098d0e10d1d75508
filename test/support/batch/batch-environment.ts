import { createBatchService, type BatchService } from '../../../shared/batch/api/batch-service.ts';
import { type CallerQuota, NO_QUOTA } from '../../../shared/batch/api/caller-quota.ts';
import { createFileService, type FileService } from '../../../shared/batch/api/file-service.ts';
import type { Job } from '../../../shared/batch/model/job-message.ts';
import { toOpenAiBatch } from '../../../shared/http/batches-handler.ts';
import { itemOf, QUEUE_OWNER_ID, messages } from './jobs.ts';
import { makeProcessor, type Bench } from './make-processor.ts';
import type { Script } from './scripted-agent.ts';

/** A batches and a processor around one storage in memory, and the queue between them. */
export interface BatchEnvironment extends Bench {
  readonly batches: BatchService;
  readonly files: FileService;
  /** Delivers what is on the queue, the newest first, until nothing is. */
  drain(): Promise<void>;
  submit(lines: readonly string[]): Promise<string>;
}

/** The caller that owns every batch here, as requests carry it. */
export const OWNER = QUEUE_OWNER_ID;

/** The parts of batch as they work together, with shards of three items. */
export function setUp(
  script?: Script,
  options: Parameters<typeof makeProcessor>[0] & { quota?: Partial<CallerQuota> } = {},
): BatchEnvironment {
  const bench = makeProcessor({
    ...(script === undefined ? {} : { script }),
    itemsPerShard: 3,
    cancelCheckMs: 5,
    ...options,
  });
  const { store, inputs, sent, time } = bench;
  const clock = { now: () => time.now };
  const sender = options.sender ?? {
    async send(job: Job, { delaySeconds }: { delaySeconds: number }) {
      sent.push({ job, delaySeconds });
    },
    hasWaiting: async () => false,
  };
  const { telemetry } = bench;
  const quota = { ...NO_QUOTA, ...options.quota };
  const files = createFileService({
    quota,
    store,
    inputs,
    outputs: store.container,
    clock,
    telemetry,
  });
  const batches = createBatchService({ quota, store, inputs, sender, clock });
  return {
    ...bench,
    batches,
    files,
    async drain() {
      for (let next = sent.pop(); next !== undefined; next = sent.pop()) {
        time.now += next.delaySeconds * 1_000;
        await bench.processor.process(next.job);
      }
    },
    async submit(lines) {
      const chunks = chunksOf(lines.map((line) => `${line}\n`).join(''));
      const file = await files.create({ owner: OWNER, filename: 'in.jsonl', chunks });
      const wanted = { endpoint: '/v1/chat/completions', metadata: null };
      const view = await batches.create({ owner: OWNER, inputFileId: file.id, ...wanted });
      return view.record.id;
    },
  };
}

async function* chunksOf(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

export function linesOf(count: number): string[] {
  return messages(count).map((message) => JSON.stringify(itemOf(message)));
}

export async function textOf(
  environment: BatchEnvironment,
  fileId: string | null,
): Promise<string> {
  if (fileId === null) return '';
  const { chunks } = await environment.files.content(fileId, OWNER);
  return Buffer.concat(await Array.fromAsync(chunks)).toString('utf8');
}

export async function openAi(environment: BatchEnvironment, id: string) {
  return toOpenAiBatch(await environment.batches.view(id, OWNER));
}

export function customIdsIn(text: string): string[] {
  return [...text.matchAll(/"custom_id":"([^"]+)"/g)].map(([, id = '']) => id).toSorted();
}
