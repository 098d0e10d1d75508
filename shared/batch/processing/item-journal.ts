import {
  effectsOf,
  type StepJournal,
  toOutcomeFields,
  toStepFields,
} from '../../agent/step-journal.ts';
import { ServiceError } from '../../errors.ts';
import { withEffects } from '../model/item.ts';
import type { JournalEntry } from '../storage/journal.ts';
import type { ShardLease } from '../storage/shard-lease.ts';

/**
 * Characters of the finished steps that one shard may record. Each delivery of the shard reads them.
 * A thousand items with three tool results of 20,000 characters each need a fifth of it.
 */
const MAX_STEP_CHARS = 268_435_456;

interface ItemJournalOptions {
  readonly lease: ShardLease;
  /** The item's index in its shard. */
  readonly index: number;
  readonly maxStepChars?: number | undefined;
}

/** Keeps the finished steps of an item in the journal of its shard. */
export function createItemJournal({
  lease,
  index,
  maxStepChars = MAX_STEP_CHARS,
}: ItemJournalOptions): StepJournal {
  return {
    steps: [...(lease.view.steps.get(index) ?? [])],
    async addStep(step, recorded) {
      // Of a run that ends, the journal gets the result.
      if (recorded.isLast) return;
      // A run that has recorded a step goes on: its tools may have had effects.
      if (step === 0 && lease.view.stepChars > maxStepChars) throw journalFull(maxStepChars);
      await lease.append({ type: 'step', index, ...toStepFields(step, recorded) });
    },
    async addOutcome(place, outcome) {
      // Batches are stored as their owner uploads them, so values behind placeholders stay out.
      const fields = toOutcomeFields(place, { ...outcome, placeholders: undefined });
      await lease.append({ type: 'tool', index, ...fields });
    },
  };
}

type ResultEntry = Extract<JournalEntry, { type: 'result' }>;

/** The result of an item with the effects of its tools. */
export function reportEffects(entry: ResultEntry, { view }: ShardLease): ResultEntry {
  const effects = effectsOf(view.steps.get(entry.index) ?? []);
  return { ...entry, line: withEffects(entry.line, effects) };
}

function journalFull(maxStepChars: number): ServiceError {
  return new ServiceError(
    'context_too_long',
    `Cannot record the run: the tools of one part of a batch may use at most ${maxStepChars} characters`,
  );
}
