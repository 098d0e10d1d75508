import { effectsOf, type StepJournal } from '../../agent/step-journal.ts';
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

export interface ItemJournal extends StepJournal {
  /** Whether a call that must not be repeated is under way. */
  hasOpenCall(): boolean;
}

/** Keeps the finished steps of an item in the journal of its shard. */
export function createItemJournal({
  lease,
  index,
  maxStepChars = MAX_STEP_CHARS,
}: ItemJournalOptions): ItemJournal {
  const steps = [...(lease.view.steps.get(index) ?? [])];
  const open = new Set<string>();
  return {
    steps,
    hasOpenCall: () => open.size > 0,
    async addStep(step, { response, once }) {
      // A run that has recorded a step goes on: its tools may have had effects.
      if (step === 0 && lease.view.stepChars > maxStepChars) throw journalFull(maxStepChars);
      const { text, refusal, toolCalls, finishReason, usage, model } = response;
      const kept = { text, refusal, toolCalls, finishReason, usage, model };
      await lease.append({ type: 'step', index, step, response: kept, once: [...once] });
      for (const call of once) open.add(`${step} ${call}`);
    },
    async addOutcome({ step, call }, { name, status, durationMs, output }) {
      const outcome = { name, status, durationMs, output };
      const entry: JournalEntry = { type: 'tool', index, step, call, ...outcome };
      await lease.append(entry);
      open.delete(`${step} ${call}`);
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
