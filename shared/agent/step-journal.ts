import * as z from 'zod';
import type { ModelResponse, ModelToolCall } from '../model/model.ts';

/** `interrupted`: the process ended within the call, which was not repeated. */
export type ToolCallStatus = 'ok' | 'failed' | 'interrupted';

/** The values behind placeholders of redaction, by placeholder. */
export type Placeholders = Readonly<Record<string, string>>;

/** How a tool call ended. */
export interface RecordedOutcome {
  readonly name: string;
  readonly status: ToolCallStatus;
  readonly durationMs: number;
  /** What the model reads. */
  readonly output: string;
  /** Those that the call added. */
  readonly placeholders?: Placeholders | undefined;
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

/** A response that is about to be used. */
export interface NewStep extends Pick<RecordedStep, 'response' | 'once'> {
  /** The run ends with this step, and none of its tools run. */
  readonly isLast: boolean;
}

/**
 * Keeps the finished steps of a run, so that a later attempt goes on after them: it repeats neither
 * a paid model call nor a tool with effect `once`.
 */
export interface StepJournal {
  /** The steps of earlier attempts at this run. */
  readonly steps: readonly RecordedStep[];
  /** Resolves when the step is durable; its tools start afterwards. */
  addStep(step: number, recorded: NewStep): Promise<void>;
  /** Resolves when the outcome is durable. */
  addOutcome(place: CallPlace, outcome: RecordedOutcome): Promise<void>;
}

const tokens = z.int().min(0);
const toolCall = z.object({ id: z.string(), name: z.string(), arguments: z.string() }).readonly();

/** The fields of a recorded step, for the lines of a journal. */
export const stepFields = {
  step: z.int(),
  response: z.object({
    text: z.string(),
    refusal: z.string().optional(),
    isTextDropped: z.literal(true).exactOptional(),
    toolCalls: z.array(toolCall).readonly(),
    finishReason: z.enum(['stop', 'length', 'tool_calls']),
    usage: z.object({
      inputTokens: tokens,
      cachedInputTokens: tokens.optional(),
      outputTokens: tokens,
      totalTokens: tokens,
    }),
    model: z.string(),
  }),
  once: z.array(z.int()),
} as const;

/** The fields of a recorded outcome, for the lines of a journal. */
export const outcomeFields = {
  step: z.int(),
  call: z.int(),
  name: z.string(),
  status: z.enum(['ok', 'failed', 'interrupted']),
  durationMs: z.number(),
  output: z.string(),
  placeholders: z.record(z.string(), z.string()).optional(),
} as const;

/** The fields of a step as a journal keeps them: without what only telemetry reads. */
export function toStepFields(step: number, { response, once }: NewStep) {
  const { text, refusal, isTextDropped, toolCalls, finishReason, usage, model } = response;
  const kept = { text, refusal, toolCalls, finishReason, usage, model };
  const dropped = isTextDropped === undefined ? {} : { isTextDropped };
  return { step, response: { ...kept, ...dropped }, once: [...once] };
}

/** The fields of an outcome as a journal keeps them. */
export function toOutcomeFields({ step, call }: CallPlace, outcome: RecordedOutcome) {
  const { name, status, durationMs, output, placeholders } = outcome;
  return { step, call, name, status, durationMs, output, placeholders };
}

/** The steps after one more. Of a step that comes twice the first counts. */
export function withStep(
  steps: readonly RecordedStep[],
  { step, response, once }: Pick<RecordedStep, 'response' | 'once'> & { readonly step: number },
): readonly RecordedStep[] {
  return steps.length === step ? [...steps, { response, once, outcomes: new Map() }] : steps;
}

/** The steps after one more outcome. Of an outcome that comes twice the first counts. */
export function withOutcome(
  steps: readonly RecordedStep[],
  { step, call, ...entry }: RecordedOutcome & CallPlace,
): readonly RecordedStep[] {
  const found = steps[step];
  if (found === undefined || found.outcomes.has(call)) return steps;
  const { name, status, durationMs, output, placeholders } = entry;
  const outcome = { name, status, durationMs, output, placeholders };
  return steps.with(step, { ...found, outcomes: new Map(found.outcomes).set(call, outcome) });
}

/** The tool calls of one step in the journal of its run. */
export interface StepRecord {
  /** `interrupted`: an earlier attempt began the call, and its outcome is not known. */
  find(call: ModelToolCall): RecordedOutcome | 'interrupted' | undefined;
  save(call: ModelToolCall, outcome: RecordedOutcome): Promise<void>;
}

interface OpenedStep extends Pick<NewStep, 'response' | 'isLast'> {
  readonly step: number;
  /** The calls of tools with effect `once` that are about to run. */
  readonly once: readonly ModelToolCall[];
}

/** Makes a step durable, unless an earlier attempt did, and returns its record. */
export async function openStep(
  journal: StepJournal,
  { step, response, once, isLast }: OpenedStep,
): Promise<StepRecord> {
  const recorded = journal.steps[step];
  const positionOf = (call: ModelToolCall): number => response.toolCalls.indexOf(call);
  if (recorded === undefined) {
    await journal.addStep(step, { response, once: once.map(positionOf), isLast });
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

/**
 * How long a call of a tool with effect `once` may go on after its run was stopped, in milliseconds:
 * an instance that shuts down has 5 s. A call that ends in time is not reported as interrupted.
 */
const EFFECT_GRACE_MS = 3_000;

/** The signals of a run that has a journal, and may be stopped. */
export interface EffectScope {
  /** The journal, observed for calls that are under way. */
  readonly journal: StepJournal | undefined;
  /** Aborts when the run is stopped. */
  readonly signal: AbortSignal;
  /** Aborts at the same time, or later if a call that must not be repeated is under way. */
  readonly effectSignal: AbortSignal;
  stop(reason: unknown): void;
  close(): void;
}

export function createEffectScope(journal: StepJournal | undefined): EffectScope {
  const ending = new AbortController();
  const effects = new AbortController();
  const open = new Set<string>();
  let grace: NodeJS.Timeout | undefined;
  return {
    journal: journal && {
      steps: journal.steps,
      async addStep(step, recorded) {
        await journal.addStep(step, recorded);
        for (const call of recorded.once) open.add(`${step} ${call}`);
      },
      async addOutcome(place, outcome) {
        await journal.addOutcome(place, outcome);
        open.delete(`${place.step} ${place.call}`);
      },
    },
    signal: ending.signal,
    effectSignal: effects.signal,
    stop(reason) {
      const mayWait = open.size > 0;
      ending.abort(reason);
      if (mayWait) grace ??= setTimeout(() => effects.abort(reason), EFFECT_GRACE_MS);
      else effects.abort(reason);
    },
    close: () => clearTimeout(grace),
  };
}
