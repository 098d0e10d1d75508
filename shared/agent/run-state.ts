import { isDeepStrictEqual } from 'node:util';
import { ServiceError } from '../errors.ts';
import { parseJson } from '../json.ts';
import type { ModelMessage, ModelResponse, ModelToolCall, TokenUsage } from '../model/model.ts';
import type { AgentInput, RunResult, ToolCallSummary } from './agent.ts';
import type { ToolOffer } from './model-request.ts';
import type { Tool } from './tool.ts';
import {
  interruptToolCall,
  refuseToolCall,
  type ToolCallOutcome,
  type ToolLimits,
} from './tool-calls.ts';

/** The bounds of one run. */
export interface RunLimits {
  /** Model calls, retries not counted. The last one gets no own tools, so that it answers. */
  readonly maxSteps: number;
  /** Calls of own tools in all steps. */
  readonly maxToolCalls: number;
  /** Input and output of all steps. A step that begins below it may exceed it. */
  readonly maxTokens: number;
  readonly tool: ToolLimits;
}

/** The defaults of `agent.max_steps`, `max_tool_calls`, `max_run_tokens` and of `[tools]`. */
export const DEFAULT_RUN_LIMITS: RunLimits = {
  maxSteps: 8,
  maxToolCalls: 32,
  maxTokens: 200_000,
  tool: { timeoutMs: 10_000, maxOutputChars: 20_000 },
};

/** A run between two steps. */
export interface RunState {
  readonly steps: number;
  /** The messages that the steps added. */
  readonly added: readonly ModelMessage[];
  readonly texts: readonly string[];
  readonly usage: TokenUsage;
  readonly lastStepTokens: number;
  readonly toolCalls: readonly ToolCallSummary[];
  /** A tool with effect `once` ran. */
  readonly hasEffect: boolean;
  /** Calls that an earlier attempt began and that must not be repeated. */
  readonly interrupted: readonly ModelToolCall[];
  /** The next step corrects an answer that is not valid. */
  readonly isCorrection: boolean;
}

export const INITIAL_STATE: RunState = {
  steps: 0,
  added: [],
  texts: [],
  usage: { inputTokens: 0, outputTokens: 0, totalTokens: 0 },
  lastStepTokens: 0,
  toolCalls: [],
  hasEffect: false,
  interrupted: [],
  isCorrection: false,
};

interface OfferContext {
  readonly state: RunState;
  readonly limits: RunLimits;
}

/**
 * The tools of the next step. After a tool with effect `once` the client's tools are left out: its
 * follow-up could not carry the result, and the model would repeat the effect.
 */
export function offerOf(
  { tools = [], toolChoice }: AgentInput,
  { state, limits }: OfferContext,
): ToolOffer {
  if (toolChoice === 'none' || state.isCorrection) return 'none';
  const isForced = state.steps === 0 && toolChoice !== undefined && toolChoice !== 'auto';
  if (!isForced && !isLastStep(state, limits)) return state.hasEffect ? 'own' : 'all';
  return tools.length > 0 && !state.hasEffect ? 'client' : 'none';
}

function isLastStep(state: RunState, limits: RunLimits): boolean {
  return (
    state.steps + 1 >= limits.maxSteps ||
    state.toolCalls.length >= limits.maxToolCalls ||
    // The next step is at least as large as the last one.
    state.usage.totalTokens + 2 * state.lastStepTokens > limits.maxTokens
  );
}

/** @throws ServiceError context_too_long if the budget of the run is used up */
export function assertBudget({ usage }: RunState, { maxTokens }: RunLimits): void {
  if (usage.totalTokens < maxTokens) return;
  throw new ServiceError(
    'context_too_long',
    `Cannot continue the run: it must use at most ${maxTokens} tokens`,
  );
}

export function afterResponse(state: RunState, { text, usage }: ModelResponse): RunState {
  return {
    ...state,
    steps: state.steps + 1,
    texts: text === '' ? state.texts : [...state.texts, text],
    usage: {
      inputTokens: state.usage.inputTokens + usage.inputTokens,
      outputTokens: state.usage.outputTokens + usage.outputTokens,
      totalTokens: state.usage.totalTokens + usage.totalTokens,
      ...sumOfCached(state.usage, usage),
    },
    lastStepTokens: usage.totalTokens,
  };
}

/** Undefined while no step reported cached tokens. */
function sumOfCached(one: TokenUsage, other: TokenUsage): Pick<TokenUsage, 'cachedInputTokens'> {
  const { cachedInputTokens: before } = one;
  const { cachedInputTokens: added } = other;
  if (before === undefined && added === undefined) return {};
  return { cachedInputTokens: (before ?? 0) + (added ?? 0) };
}

/** Whether one more step may follow. */
export function hasStepLeft({ steps, usage }: RunState, limits: RunLimits): boolean {
  return steps < limits.maxSteps && usage.totalTokens < limits.maxTokens;
}

export function withCorrection(state: RunState, messages: readonly ModelMessage[]): RunState {
  return { ...state, added: [...state.added, ...messages], isCorrection: true };
}

/** What follows a response. */
export interface StepPlan {
  /** `hand-out`: the run ends, and the client runs `handOut`. */
  readonly kind: 'end' | 'hand-out' | 'continue';
  /** Calls of own tools that run. */
  readonly run: readonly ModelToolCall[];
  /** Calls that do not run, with what the model reads instead. */
  readonly refused: readonly ToolCallOutcome[];
  readonly handOut: readonly ModelToolCall[];
}

interface PlanContext extends OfferContext {
  readonly input: AgentInput;
  readonly offer: ToolOffer;
  readonly tools: readonly Tool[];
}

/** @throws ServiceError upstream_invalid if the model calls tools in a step that may not call any */
export function planStep({ toolCalls }: ModelResponse, context: PlanContext): StepPlan {
  const { input, offer, state, limits, tools } = context;
  if (toolCalls.length === 0) return { kind: 'end', run: [], refused: [], handOut: [] };
  const clientNames = new Set((input.tools ?? []).map(({ name }) => name));
  const clientCalls = toolCalls.filter(({ name }) => clientNames.has(name));
  const others = toolCalls.filter(({ name }) => !clientNames.has(name));
  if ((offer === 'all' || offer === 'client') && clientCalls.length > 0) {
    // The follow-up of the client cannot carry results, so what must not be repeated waits for it.
    const run = offer === 'client' ? [] : others.filter((call) => isRepeatable(call, tools));
    return { kind: 'hand-out', run, refused: [], handOut: clientCalls };
  }
  if (offer === 'none' || offer === 'client') throw unexpectedCall(context);
  const allowed = Math.max(0, limits.maxToolCalls - state.toolCalls.length);
  const limitReached = `The limit of ${limits.maxToolCalls} tool calls is reached. Answer now.`;
  const [repeated, fresh] = splitBy(others, (call) => isInterrupted(call, state));
  return {
    kind: 'continue',
    run: fresh.slice(0, allowed),
    refused: [
      ...repeated.map(interruptToolCall),
      ...fresh.slice(allowed).map((call) => refuseToolCall(call, limitReached)),
      ...clientCalls.map((call) => refuseToolCall(call, 'This tool is not available now.')),
    ],
    handOut: [],
  };
}

function splitBy<T>(all: readonly T[], predicate: (one: T) => boolean): [T[], T[]] {
  return [all.filter(predicate), all.filter((one) => !predicate(one))];
}

/** Whether the model asks for the same again, although it read that it may have taken effect. */
function isInterrupted(call: ModelToolCall, { interrupted }: RunState): boolean {
  return interrupted.some(
    ({ name, arguments: text }) =>
      name === call.name && isDeepStrictEqual(parseJson(text), parseJson(call.arguments)),
  );
}

/** Whether the call changes something outside. */
export function hasEffectOnce({ name }: ModelToolCall, tools: readonly Tool[]): boolean {
  return tools.some(({ definition, effect }) => definition.name === name && effect === 'once');
}

function isRepeatable({ name }: ModelToolCall, tools: readonly Tool[]): boolean {
  return tools.some(({ definition, effect }) => definition.name === name && effect === 'none');
}

function unexpectedCall({ input, limits }: PlanContext): ServiceError {
  const reason =
    input.toolChoice === undefined || input.toolChoice === 'auto'
      ? `the run may have at most ${limits.maxSteps} steps, ${limits.maxToolCalls} tool calls and ${limits.maxTokens} tokens`
      : 'the request did not allow this call';
  return new ServiceError(
    'upstream_invalid',
    `The model called a tool instead of answering: ${reason}`,
  );
}

interface ToolResults {
  readonly response: ModelResponse;
  /** In any order. */
  readonly outcomes: readonly ToolCallOutcome[];
  /** Whether one of the calls changes something outside. */
  readonly hasEffect: boolean;
}

/** Adds the calls of a step and their results to the conversation. */
export function afterTools(
  state: RunState,
  { response, outcomes, hasEffect }: ToolResults,
): RunState {
  const { text, toolCalls } = response;
  const inOrder = toolCalls.flatMap((call) => outcomes.filter((outcome) => outcome.call === call));
  const results = inOrder.map(({ call, output }): ModelMessage => ({
    role: 'tool',
    toolCallId: call.id,
    content: output,
  }));
  return {
    ...state,
    added: [
      ...state.added,
      { role: 'assistant', content: text === '' ? null : text, toolCalls },
      ...results,
    ],
    toolCalls: [...state.toolCalls, ...inOrder.map(({ summary }) => summary)],
    hasEffect: state.hasEffect || hasEffect,
    interrupted: [
      ...state.interrupted,
      ...inOrder.filter(({ summary }) => summary.status === 'interrupted').map(({ call }) => call),
    ],
  };
}

interface RunEnd {
  readonly response: ModelResponse;
  readonly plan: StepPlan;
  readonly text: string;
}

export function toRunResult(
  { usage, toolCalls }: RunState,
  { response, plan, text }: RunEnd,
): RunResult {
  const { model, finishReason, refusal } = response;
  return {
    text,
    ...(refusal === undefined ? {} : { refusal }),
    model,
    finishReason,
    usage,
    cached: false,
    toolCalls,
    ...(plan.handOut.length === 0 ? {} : { clientToolCalls: plan.handOut }),
  };
}
