import type {
  RecordedOutcome,
  RecordedStep,
  StepJournal,
} from '../../../shared/agent/step-journal.ts';

/** The journal of a run over several attempts; `attempt` gives what the next attempt reads. */
export function createMemoryJournal() {
  const steps: (RecordedStep & { readonly outcomes: Map<number, RecordedOutcome> })[] = [];
  return {
    steps,
    attempt(): StepJournal {
      return {
        steps: steps.map((step) => ({ ...step, outcomes: new Map(step.outcomes) })),
        async addStep(step, { response, once }) {
          steps[step] = { response, once, outcomes: new Map() };
        },
        async addOutcome({ step, call }, outcome) {
          steps[step]?.outcomes.set(call, outcome);
        },
      };
    },
  };
}
