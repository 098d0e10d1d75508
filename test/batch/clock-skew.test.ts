import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JobProcessor } from '../../shared/batch/processing/process-message.ts';
import { LEASE_SECONDS } from '../../shared/storage/azure/blob-lease.ts';
import { COMPLETION_WINDOW_MS, newRecord } from '../../shared/batch/model/batch-record.ts';
import { ServiceError } from '../../shared/errors.ts';
import { itemOf, QUEUE_OWNER_ID, jobOf, messages, shardJob } from '../support/batch/jobs.ts';
import { pumpQueue } from '../support/batch/pump-queue.ts';
import type { Script } from '../support/batch/scripted-agent.ts';
import { storageProcessor, type StorageProcessor } from '../support/batch/storage-processor.ts';
import {
  startStorageEnvironment,
  type StorageEnvironment,
} from '../support/batch/storage-environment.ts';

const MINUTE_MS = 60_000;
/** The delay of an item after its first failure, and after its second. */
const PROMISED_MS = [5_000, 10_000] as const;
/** Items that are nearly due go along with those that are. */
const EARLY_MS = 2_000;
/** The queue counts in seconds, and the machine may be busy. */
const LATE_MS = 5_000;
const ITEMS = 12;

/** A clock that is wrong, and can be set. */
function wrongClock(minutes: number) {
  let aheadMs = minutes * MINUTE_MS;
  return {
    now: () => Date.now() + aheadMs,
    set(to: number) {
      aheadMs = to * MINUTE_MS;
    },
  };
}

const environments: StorageEnvironment[] = [];
/** A separate storage for a test that empties the queue. */
async function startEnvironment(): Promise<StorageEnvironment> {
  const environment = await startStorageEnvironment();
  environments.push(environment);
  return environment;
}

let shared: StorageEnvironment;
beforeAll(async () => {
  shared = await startEnvironment();
});
afterAll(() => Promise.all(environments.map((environment) => environment.stop())));

/** When each item ran, over all instances, and an agent that fails it the first two times. */
function failingTwice() {
  const asked = new Map<string, number[]>();
  const script: Script = ({ message }) => {
    const times = [...(asked.get(message) ?? []), performance.now()];
    asked.set(message, times);
    if (times.length > PROMISED_MS.length) return 'ok';
    throw new ServiceError('upstream_timeout', 'Late');
  };
  return { asked, script };
}

/** The number of delays that differ from the expected ones. */
function brokenPromises(asked: ReadonlyMap<string, readonly number[]>): string[] {
  return [...asked].flatMap(([message, times]) =>
    PROMISED_MS.flatMap((promised, wait) => {
      const waited = (times[wait + 1] ?? Infinity) - (times[wait] ?? 0);
      const isKept = waited >= promised - EARLY_MS && waited <= promised + LATE_MS;
      return isKept ? [] : [`${message} waited ${Math.round(waited)} ms, not ${promised}`];
    }),
  );
}

/** Delivers messages to the instances in turn, and counts them. */
function inTurns(instances: readonly StorageProcessor[]) {
  let deliveries = 0;
  const processor: JobProcessor = {
    async process(message) {
      const instance = instances[deliveries % instances.length];
      deliveries += 1;
      await instance?.processor.process(message);
    },
    stop: async () => undefined,
  };
  return { processor, deliveries: () => deliveries };
}

async function isComplete({ batch }: StorageProcessor, id: string): Promise<boolean> {
  return (await batch.store.progress(id)).finals.size > 0;
}

describe.concurrent('instances whose clocks differ', () => {
  it.each([
    [10, -10],
    [-10, 10],
    [2, -2],
  ])(
    'Q10: keep the delay of a failed item, %i and %i minutes off',
    async (first, second) => {
      const environment = await startEnvironment();
      const { asked, script } = failingTwice();
      const { connectionString } = environment;
      const instances = [first, second].map((minutes) =>
        storageProcessor({ connectionString, script, clock: wrongClock(minutes) }),
      );
      const [one, two] = instances as [StorageProcessor, StorageProcessor];
      const { processor, deliveries } = inTurns(instances);
      await environment.jobs.sendMessage(JSON.stringify(jobOf('skewed', messages(ITEMS))));

      await pumpQueue(environment, { processor, isDone: () => isComplete(one, 'skewed') });

      const { counts } = await two.batch.batches.view('skewed', QUEUE_OWNER_ID);
      expect(counts).toEqual({ total: ITEMS, completed: ITEMS, failed: 0 });
      expect([...asked.values()].map((times) => times.length)).toEqual(Array(ITEMS).fill(3));
      expect(brokenPromises(asked)).toEqual([]);
      expect(deliveries()).toBeLessThanOrEqual(5);
    },
    60_000,
  );

  it('Q10: end a batch by the time of the storage, not earlier and not later', async () => {
    const { connectionString } = shared;
    const early = storageProcessor({ connectionString, clock: wrongClock(10) });
    const late = storageProcessor({ connectionString, clock: wrongClock(-10) });
    const begin = async (id: string, minutesLeft: number): Promise<void> => {
      const now = Date.now() - COMPLETION_WINDOW_MS + minutesLeft * MINUTE_MS;
      const record = newRecord({ id, owner: QUEUE_OWNER_ID, digest: id, now });
      await late.batch.store.createOrGet({ ...record, items: [itemOf('m0')] });
    };
    await Promise.all([begin('open', 5), begin('over', -5), begin('waiting', -55)]);

    await early.processor.process(shardJob('open'));
    await late.processor.process(shardJob('over'));

    const views = await Promise.all(
      ['open', 'over', 'waiting'].map((id) => early.batch.batches.view(id, QUEUE_OWNER_ID)),
    );
    expect(views.map(({ status }) => status)).toEqual(['completed', 'expired', 'in_progress']);
  });

  it('Q10: date a batch by the time of the storage', async () => {
    const { connectionString } = shared;
    const instance = storageProcessor({ connectionString, clock: wrongClock(10) });
    const startedAt = Date.now();

    await instance.processor.process(jobOf('dated', ['m0']));

    const { record, final } = await instance.batch.batches.view('dated', QUEUE_OWNER_ID);
    const times = [Date.parse(record.createdAt), final?.at ?? 0];
    expect(times.map((at) => Math.abs(at - startedAt) < MINUTE_MS)).toEqual([true, true]);
  });
});

describe.concurrent('an instance whose clock is set', () => {
  it.each([
    ['forward', 10],
    ['back', -10],
  ])(
    'Q10: keeps the delay of a failed item, %s',
    async (_direction, minutes) => {
      const environment = await startEnvironment();
      const { asked, script } = failingTwice();
      const clock = wrongClock(0);
      const instance = storageProcessor({
        connectionString: environment.connectionString,
        clock,
        script(turn) {
          if (asked.size === ITEMS / 2) clock.set(minutes);
          return script(turn);
        },
      });
      const { processor, deliveries } = inTurns([instance]);
      await environment.jobs.sendMessage(JSON.stringify(jobOf('jumped', messages(ITEMS))));

      await pumpQueue(environment, { processor, isDone: () => isComplete(instance, 'jumped') });

      const { counts } = await instance.batch.batches.view('jumped', QUEUE_OWNER_ID);
      expect(counts).toEqual({ total: ITEMS, completed: ITEMS, failed: 0 });
      expect(instance.agent.asked).toHaveLength(3 * ITEMS);
      expect(brokenPromises(asked)).toEqual([]);
      expect(deliveries()).toBeLessThanOrEqual(5);
    },
    60_000,
  );

  it('Q10: keeps its job for longer than a lease, against an instance whose clock is behind', async () => {
    const { connectionString } = shared;
    const clock = wrongClock(0);
    const answer = Promise.withResolvers<string>();
    const holder = storageProcessor({ connectionString, clock, script: () => answer.promise });
    const other = storageProcessor({ connectionString, clock: wrongClock(-10) });
    const job = jobOf('held', ['m0']);
    const running = holder.processor.process(job);
    await expect.poll(() => holder.agent.asked).toHaveLength(1);

    clock.set(10);
    // The test needs renewals, so real time must pass.
    await delay((LEASE_SECONDS + 1) * 1_000);
    await other.processor.process(job);
    answer.resolve('ok');
    await running;

    expect(other.agent.asked).toEqual([]);
    expect((await other.batch.batches.view('held', QUEUE_OWNER_ID)).counts.completed).toBe(1);
  }, 60_000);
});
