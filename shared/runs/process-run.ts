import { ServiceError } from '../errors.ts';
import { createAuditTrail } from '../telemetry/audit.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { openRunJournal } from './run-journal.ts';
import {
  type DeliveryOutcome,
  failed,
  type OpenRun,
  type ProcessRunOptions,
  runAgent,
  runTooLong,
} from './run-agent.ts';
import { type RunEnd, type RunRecord, type RunRef, writeRunAudit } from './run-record.ts';

/** Deliveries in a row that may end without a word. */
const MAX_CRASHES = 6;
/** The lease of a crashed process ends within 15 s. */
export const BUSY_DELAY_SECONDS = 16;

/**
 * Processes one delivery of a run. When it resolves the message may be deleted: the run has its end,
 * or it is queued again. When it rejects the message must be delivered again.
 */
export async function processRun(ref: RunRef, options: ProcessRunOptions): Promise<void> {
  const { store, queue, telemetry } = options;
  const record = await store.record(ref);
  // A run that is deleted has no record.
  if (record === undefined) return;
  const known = await store.end(ref);
  // The process that stored the end may have been killed before it freed the conversation.
  if (known !== undefined) return endConversation(record, { end: known, options });
  const journal = await openRunJournal(ref, store);
  if (journal === 'busy') {
    // Not dropped: the holder may have crashed, and this may be the last message of the run.
    await queue.send(ref, { delaySeconds: BUSY_DELAY_SECONDS });
    return telemetry.info('run lease busy');
  }
  const audit = createAuditTrail(record.owner);
  let outcome: DeliveryOutcome;
  try {
    outcome = await processDelivery({ record, journal, audit }, options);
    if (outcome.kind === 'ended') {
      await storeEnd(record, { end: outcome.end, options });
      writeRunAudit(record, { end: outcome.end, audit, telemetry });
    }
  } finally {
    await journal.release();
  }
  if (outcome.kind === 'requeue') {
    await queue.send(ref, { delaySeconds: outcome.delaySeconds });
    telemetry.info('run requeued', { delaySeconds: outcome.delaySeconds });
  }
  const end = outcome.kind === 'requeue' ? undefined : await store.end(ref);
  if (end !== undefined) await endConversation(record, { end, options });
  if (end?.kind === 'deleted') await store.remove(ref, { keepsEnd: false });
}

interface EndOptions {
  readonly end: RunEnd;
  readonly options: Pick<ProcessRunOptions, 'store' | 'conversations' | 'telemetry'>;
}

/** Stores the end of a run, unless it has one: a run that was cancelled stays cancelled. */
export async function storeEnd(record: RunRecord, { end, options }: EndOptions): Promise<void> {
  const { store, telemetry } = options;
  if (await store.finish(record, end)) reportEnd(record, { end, telemetry });
}

/** Logs the end of a run, which counts it. Each run has one. */
export function reportEnd(
  { createdAt }: RunRecord,
  { end, telemetry }: { readonly end: RunEnd; readonly telemetry: Telemetry },
): void {
  const code = end.kind === 'failed' ? end.code : undefined;
  telemetry.info('run ended', { outcome: end.kind, ...(code === undefined ? {} : { code }) });
  const seconds = Math.max(0, end.at - createdAt) / 1_000;
  telemetry.record('backgroundRunDuration', seconds, { outcome: end.kind });
}

/**
 * Adds what came of a run to its conversation, and frees it.
 * @throws ServiceError session_busy, if another process is about to read the conversation
 */
export async function endConversation(
  record: RunRecord,
  { end, options: { store, conversations } }: EndOptions,
): Promise<void> {
  if (record.conversationId === undefined || conversations === undefined) return;
  const { events, steps } = await store.view(record);
  await conversations.end(record, { end, events, steps });
}

async function processDelivery(run: OpenRun, options: ProcessRunOptions): Promise<DeliveryOutcome> {
  const { journal } = run;
  const { clock, maxRunMs, telemetry } = options;
  const { crashes, startedAt = clock.now() } = journal.view;
  if (crashes >= MAX_CRASHES) {
    return failed(
      clock,
      new ServiceError('internal', `The run ended ${crashes} processes in a row`),
    );
  }
  const leftMs = startedAt + maxRunMs - clock.now();
  if (leftMs <= 0) return failed(clock, runTooLong(maxRunMs));
  if (crashes > 0) telemetry.info('run redelivered', { crashes });
  if (journal.view.startedAt === undefined) {
    const waitedMs = Math.max(0, startedAt - run.record.createdAt);
    telemetry.record('backgroundQueueAge', waitedMs / 1_000);
  }
  await journal.append({ type: 'opened', at: clock.now() });
  return runAgent(run, { ...options, leftMs });
}
