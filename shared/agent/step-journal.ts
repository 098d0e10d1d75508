import type { ModelResponse, ModelToolCall } from '../model/model.ts';

/** `interrupted`: the process ended within the call, which was not repeated. */
export type ToolCallStatus = 'ok' | 'failed' | 'interrupted';

/** How a tool call ended. */
export interface RecordedOutcome {
  readonly name: string;
  readonly status: ToolCallStatus;
  readonly durationMs: number;
  /** What the model reads. */
  readonly output: string;
}

/** A model call that is paid for, and what came of its tool calls. */
export interface RecordedStep {
  readonly response: ModelResponse;
  /** Positions of the tool calls that ran and must not be repeated. */
  readonly once: readonly number[];
  /** By the position of the tool call. */
  readonly outcomes: ReadonlyMap<number, RecordedOutcome>;
}

/** The place of a tool call in a run; both count from 0. */
export interface CallPlace {
  readonly step: number;
  readonly call: number;
}

/**
 * Keeps the finished steps of a run, so that a later attempt goes on after them: it repeats neither
 * a paid model call nor a tool with effect `once`. A step without tool calls that ends the run is
 * not kept: its result is.
 */
export interface StepJournal {
  /** The steps of earlier attempts at this run. */
  readonly steps: readonly RecordedStep[];
  /** Resolves when the step is durable; its tools start afterwards. */
  addStep(step: number, recorded: Pick<RecordedStep, 'response' | 'once'>): Promise<void>;
  /** Resolves when the outcome is durable. */
  addOutcome(place: CallPlace, outcome: RecordedOutcome): Promise<void>;
}

/** The tool calls of one step in the journal of its run. */
export interface StepRecord {
  /** `interrupted`: an earlier attempt began the call, and its outcome is not known. */
  find(call: ModelToolCall): RecordedOutcome | 'interrupted' | undefined;
  save(call: ModelToolCall, outcome: RecordedOutcome): Promise<void>;
}

interface OpenedStep {
  readonly step: number;
  readonly response: ModelResponse;
  /** The calls of tools with effect `once` that are about to run. */
  readonly once: readonly ModelToolCall[];
}

/** Makes a step durable, unless an earlier attempt did, and returns its record. */
export async function openStep(
  journal: StepJournal,
  { step, response, once }: OpenedStep,
): Promise<StepRecord> {
  const recorded = journal.steps[step];
  const positionOf = (call: ModelToolCall): number => response.toolCalls.indexOf(call);
  if (recorded === undefined) {
    await journal.addStep(step, { response, once: once.map(positionOf) });
  }
  return {
    find(call) {
      const position = positionOf(call);
      const outcome = recorded?.outcomes.get(position);
      if (outcome !== undefined) return outcome;
      return recorded?.once.includes(position) === true ? 'interrupted' : undefined;
    },
    save: (call, outcome) => journal.addOutcome({ step, call: positionOf(call) }, outcome),
  };
}

/** A call of a tool with effect `once`, and how it ended. */
export interface ToolEffect {
  readonly tool: string;
  readonly status: ToolCallStatus;
}

/** The calls of tools with effect `once` in these steps. */
export function effectsOf(steps: readonly RecordedStep[]): ToolEffect[] {
  return steps.flatMap(({ response, once, outcomes }) =>
    once.map((call) => ({
      tool: response.toolCalls[call]?.name ?? '',
      status: outcomes.get(call)?.status ?? 'interrupted',
    })),
  );
}
