import { setTimeout as delay } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../clock.ts';
import { describeError } from '../telemetry/describe-error.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { endConversation, reportEnd } from './process-run.ts';
import type { RunConversations } from './run-agent.ts';
import type { RunEnd, RunEvent, RunRecord, RunRef } from './run-record.ts';
import type { JournalState, RunQueue, RunState, RunStore } from './run-store.ts';

/** A run as its owner finds it. */
export interface FoundRun {
  readonly record: RunRecord;
  readonly status: 'queued' | 'in_progress' | 'ended';
}

/** A stored run with its events so far. */
export interface RunHistory {
  readonly events: readonly RunEvent[];
  /** Undefined while the run goes on. */
  readonly end: RunEnd | undefined;
}

/** What the HTTP routes do with runs. A run of another owner is not found. */
export interface RunService {
  /**
   * Stores a run and puts it on the queue. In between, `claim` takes the conversation of the run: a
   * run without its record counts as gone.
   */
  start(record: RunRecord, claim?: () => Promise<void>): Promise<void>;
  /** Stores a run that has ended. */
  save(record: RunRecord): Promise<void>;
  find(ref: RunRef): Promise<FoundRun | undefined>;
  /** The run of this owner whose id begins so and is the first by its characters. */
  findNewest(owner: string, idPrefix: string): Promise<FoundRun | undefined>;
  history(record: RunRecord): Promise<RunHistory>;
  /** The events from the first on, as they happen, and then the end. Ends early with the signal. */
  watch(record: RunRecord, signal: AbortSignal): AsyncIterable<RunEvent | RunEnd>;
  /** Ends a run that has no end yet. */
  cancel(record: RunRecord): Promise<void>;
  /** Deletes a run, and ends it if it has no end. */
  remove(record: RunRecord): Promise<void>;
  /** Whether a run goes on. One that has ended frees its conversation, if that did not happen. */
  endConversation(ref: RunRef): Promise<'active' | 'ended' | 'gone'>;
}

export interface RunServiceOptions {
  readonly store: RunStore;
  readonly queue: RunQueue;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly conversations?: RunConversations | undefined;
  /** How often the journal of a run that is followed is read. */
  readonly pollMs?: number | undefined;
}

const POLL_MS = 250;
/** The same while nothing happens. */
const MAX_POLL_MS = 1_500;
/**
 * A run that stands still for so long has lost its process: leases end after 15 s, and the platform
 * delivers the message of a failed process after 20 s, but that of a lost host after ten minutes.
 */
const STALLED_AFTER_MS = 40_000;
/** A run without a delivery for so long may have no message: its process ended before it sent one. */
const UNDELIVERED_AFTER_MS = 300_000;
/** Later, the conversation of a run that has ended is free, or the next request for it frees it. */
const FREED_WITHIN_MS = 60_000;

export function createRunService(options: RunServiceOptions): RunService {
  const { store, queue, clock, pollMs = POLL_MS } = options;
  const requeueIfStalled = createRequeue(options);
  const end = createEnding(options);
  const freeConversation = createFreeing(options);

  async function find(ref: RunRef): Promise<FoundRun | undefined> {
    const [state, record] = await Promise.all([store.state(ref), store.record(ref)]);
    if (state === undefined || record === undefined) return undefined;
    if (record.expiresAt <= clock.now()) return undefined;
    if (record.finished !== undefined || state.hasEnd) return { record, status: 'ended' };
    await requeueIfStalled(record, state);
    return { record, status: state.journal === undefined ? 'queued' : 'in_progress' };
  }
  return {
    async start(record, claim) {
      await store.create(record);
      try {
        await claim?.();
      } catch (error) {
        await store.remove(record, { keepsEnd: false });
        throw error;
      }
      await queue.send(record, { delaySeconds: 0 });
    },
    save: (record) => store.create(record),
    find,
    async findNewest(owner, idPrefix) {
      const id = await store.firstId(owner, idPrefix);
      return id === undefined ? undefined : find({ owner, id });
    },
    async history(record) {
      if (record.finished !== undefined) return record.finished;
      const state = await store.state(record);
      const found = state?.hasEnd === true ? await store.end(record) : undefined;
      if (found !== undefined) await freeConversation(record, found);
      return { events: (await store.view(record)).events, end: found };
    },
    watch: (record, signal) =>
      watch(record, { store, signal, pollMs, requeueIfStalled, freeConversation }),
    async cancel(record) {
      if (record.finished === undefined) await end(record, 'cancelled');
    },
    async remove(record) {
      const isRunning = record.finished === undefined && (await end(record, 'deleted'));
      const state = await store.state(record);
      // The process that works on the run sees its end, and removes what is left.
      await store.remove(record, { keepsEnd: isRunning && state?.journal !== undefined });
    },
    async endConversation(ref) {
      const found = await find(ref);
      if (found === undefined) return 'gone';
      const known = found.status === 'ended' ? await store.end(ref) : undefined;
      if (known === undefined) return 'active';
      await endConversation(found.record, { end: known, options });
      return 'ended';
    },
  };
}

type Requeue = (record: RunRecord, state: RunState) => Promise<void>;

function createRequeue({ queue, clock }: RunServiceOptions): Requeue {
  /** When this process queued a run again. A further message would be in vain, and harmless. */
  const requeued = new LRUCache<string, true>({ max: 1_000, ttl: STALLED_AFTER_MS });
  return async (record, { hasEnd, journal }) => {
    if (hasEnd || !isStalled(record, { journal, now: clock.now() })) return;
    if (requeued.has(record.id)) return;
    requeued.set(record.id, true);
    await queue.send(record, { delaySeconds: 0 });
  };
}

/** Ends a run, unless it has an end. Resolves to whether it had none. */
function createEnding({ store, clock, telemetry, conversations }: RunServiceOptions) {
  return async (record: RunRecord, kind: 'cancelled' | 'deleted'): Promise<boolean> => {
    const end: RunEnd = { kind, at: clock.now() };
    if (!(await store.finish(record, end))) return false;
    reportEnd(record, { end, telemetry: telemetry.with({ runId: record.id }) });
    const options = { store, conversations, telemetry };
    // If this fails, the next request for the conversation repeats it.
    await endConversation(record, { end, options }).catch((error: unknown) => {
      telemetry.warn('conversation not freed', { cause: describeError(error) });
    });
    return true;
  };
}

type Freeing = (record: RunRecord, end: RunEnd) => Promise<void>;

/**
 * The process that stores the end of a run frees its conversation a moment later. A client that reads
 * the end may use the conversation at once, so it reads the end when the conversation is free.
 */
function createFreeing({ store, clock, telemetry, conversations }: RunServiceOptions): Freeing {
  const freed = new LRUCache<string, true>({ max: 1_000 });
  return async (record, end) => {
    if (record.conversationId === undefined || freed.has(record.id)) return;
    if (clock.now() - end.at > FREED_WITHIN_MS) return;
    try {
      await endConversation(record, { end, options: { store, conversations, telemetry } });
      freed.set(record.id, true);
    } catch (error) {
      telemetry.warn('conversation not freed', { cause: describeError(error) });
    }
  };
}

interface StallCheck {
  readonly journal: JournalState | undefined;
  readonly now: number;
}

function isStalled({ createdAt }: RunRecord, { journal, now }: StallCheck): boolean {
  if (journal === undefined) return now - createdAt > UNDELIVERED_AFTER_MS;
  return !journal.isLeased && now - journal.changedAt > STALLED_AFTER_MS;
}

interface WatchOptions {
  readonly store: RunStore;
  readonly signal: AbortSignal;
  readonly pollMs: number;
  readonly requeueIfStalled: Requeue;
  readonly freeConversation: Freeing;
}

async function* watch(
  record: RunRecord,
  { store, signal, pollMs, requeueIfStalled, freeConversation }: WatchOptions,
): AsyncGenerator<RunEvent | RunEnd> {
  if (record.finished !== undefined) {
    yield* record.finished.events;
    yield record.finished.end;
    return;
  }
  let position = 0;
  let waitMs = pollMs;
  while (!signal.aborted) {
    const state = await store.state(record);
    // Events are durable before the end is stored, so those in this state are all.
    const bytes = state?.journal?.bytes ?? 0;
    waitMs = bytes > position ? pollMs : Math.min(waitMs * 1.5, MAX_POLL_MS);
    if (bytes > position) {
      const { lines, end } = await store.lines(record, { start: position, end: bytes });
      position = end;
      for (const line of lines) if ('events' in line) yield* line.events;
    }
    if (state === undefined) return yield { kind: 'deleted', at: 0 };
    if (state.hasEnd) {
      const end = await store.end(record);
      if (end === undefined) return;
      await freeConversation(record, end);
      yield end;
      return;
    }
    await requeueIfStalled(record, state);
    await delay(waitMs, undefined, { signal }).catch(() => undefined);
  }
}
