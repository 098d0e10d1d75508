import { ServiceError } from '../errors.ts';
import { createAuditTrail } from '../telemetry/audit.ts';
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
  if (record === undefined || (await store.end(ref)) !== undefined) return;
  const journal = await openRunJournal(ref, store);
  if (journal === 'busy') {
    // Not dropped: the holder may have crashed, and this may be the last message of the run.
    await queue.send(ref, { delaySeconds: BUSY_DELAY_SECONDS });
    return;
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
  if ((await store.end(ref))?.kind === 'deleted') await store.remove(ref, { keepsEnd: false });
}

interface EndOptions {
  readonly end: RunEnd;
  readonly options: Pick<ProcessRunOptions, 'store' | 'onEnd' | 'telemetry'>;
}

/** Stores the end of a run, unless it has one: a run that was cancelled stays cancelled. */
export async function storeEnd(record: RunRecord, { end, options }: EndOptions): Promise<void> {
  const { store, onEnd, telemetry } = options;
  if ((await store.end(record)) !== undefined) return;
  await onEnd?.(record, end);
  if (await store.finish(record, end)) telemetry.info('run ended', { outcome: end.kind });
}

async function processDelivery(run: OpenRun, options: ProcessRunOptions): Promise<DeliveryOutcome> {
  const { journal } = run;
  const { clock, maxRunMs } = options;
  const { crashes, startedAt = clock.now() } = journal.view;
  if (crashes >= MAX_CRASHES) {
    return failed(
      clock,
      new ServiceError('internal', `The run ended ${crashes} processes in a row`),
    );
  }
  const leftMs = startedAt + maxRunMs - clock.now();
  if (leftMs <= 0) return failed(clock, runTooLong(maxRunMs));
  await journal.append({ type: 'opened', at: clock.now() });
  return runAgent(run, { ...options, leftMs });
}
