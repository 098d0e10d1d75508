import { QueueClient } from '@azure/storage-queue';
import { lastUserText, type ChatRequest } from '../../../dev/model/chat-request.ts';
import type { RateLimit, RecordedCall } from '../../../dev/model/start-development-model.ts';
import { blobPaths } from '../../../shared/batch/storage/blob-paths.ts';
import { POISON_QUEUE } from '../../../shared/batch/storage-names.ts';
import { postChat } from './post-chat.ts';
import { startEnvironment } from './start-environment.ts';
import { parseLines, resultsIn } from '../../support/batch/read-job.ts';
import { startStorageView } from '../../support/batch/storage-view.ts';

export const JOBS = 4;
export const ITEMS = 100;
export const CONCURRENCY = 8;

const IDS = Array.from({ length: JOBS }, (_, number) => `throttled-${number}`);
const MARK = 'Item';
/** Lines of the host and the app; not those about the queue itself, such as a lost connection. */
const FAILED_DELIVERY = /it goes to '|message poisoned|poison message|Failed \(invocation/;

/** How it all ended, by what is in the storage and the log. */
export interface End {
  /** Of each job. */
  readonly succeeded: readonly number[];
  readonly failed: number;
  /** What kinds of entries the journals have: a burnt try would be one of them. */
  readonly entries: readonly string[];
  readonly poisoned: number;
  readonly failedDeliveries: readonly string[];
}

export interface ThrottledEnvironment {
  readonly url: string;
  limitRate(rule: RateLimit): void;
  isItem(request: ChatRequest): boolean;
  submit(): Promise<void>;
  /** Items that the model has answered so far. */
  answered(): number;
  /** When the model has refused an item so far, in milliseconds since the epoch. */
  refusals(): readonly number[];
  /** When the model was called for an item so far, in milliseconds since the epoch. */
  itemCalls(): readonly number[];
  /** Calls of the model for requests with this text. */
  callsWith(text: string): number;
  isDone(): Promise<boolean>;
  readEnd(): Promise<End>;
  stop(): Promise<void>;
}

/** The built app with a batch of some hundred items and a model whose limit the test sets. */
export async function startThrottledEnvironment(): Promise<ThrottledEnvironment> {
  const environment = await startEnvironment({
    model: 'dev/slow-15000',
    settings: { AGENT__BATCH__CONCURRENCY: String(CONCURRENCY) },
  });
  // The first answer of a worker takes longer than any other.
  await postChat(environment.url, { message: 'dev/instant' });
  const storage = startStorageView(environment.connectionString);
  const callsWith = (text: string): RecordedCall[] =>
    environment.model.calls().filter(({ body }) => JSON.stringify(body).includes(text));
  const withStatus = (status: number): RecordedCall[] =>
    callsWith(MARK).filter(({ httpStatus }) => httpStatus === status);
  const journals = (): Promise<string[]> =>
    Promise.all(
      IDS.map(async (id) => (await storage.results.read(blobPaths.journal(id, 0)))?.text ?? ''),
    );
  return {
    url: environment.url,
    limitRate: (rule) => environment.model.limitRate(rule),
    isItem: (request) => lastUserText(request).startsWith(MARK),
    async submit() {
      const items = Array.from({ length: ITEMS }, (_, n) => ({
        custom_id: `${n}`,
        body: { message: `${MARK} ${n}` },
      }));
      await Promise.all(IDS.map((jobId) => storage.submit({ v: 1, jobId, items })));
    },
    answered: () => withStatus(200).length,
    refusals: () => withStatus(429).map(({ startedAt }) => startedAt),
    itemCalls: () => callsWith(MARK).map(({ startedAt }) => startedAt),
    callsWith: (text) => callsWith(text).length,
    async isDone() {
      const found = (await journals()).map((text) => resultsIn(text)?.results.size);
      return found.every((count) => count === ITEMS);
    },
    async readEnd() {
      const texts = await journals();
      const lines = texts.map((text) => [...(resultsIn(text)?.results.values() ?? [])]);
      const poison = new QueueClient(environment.connectionString, POISON_QUEUE);
      const { approximateMessagesCount = -1 } = await poison.getProperties();
      return {
        succeeded: lines.map((job) => job.filter(({ error }) => error === null).length),
        failed: lines.flat().filter(({ error }) => error !== null).length,
        entries: [...new Set(texts.flatMap(parseLines).map(({ type }) => type))].toSorted(),
        poisoned: approximateMessagesCount,
        failedDeliveries: environment.log.filter((line) => FAILED_DELIVERY.test(line)),
      };
    },
    stop: () => environment.stop(),
  };
}
