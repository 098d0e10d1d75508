import { ServiceError } from '../errors.ts';
import type {
  Model,
  ModelRequest,
  ModelResponse,
  ModelToolCall,
  TextDelta,
} from '../model/model.ts';
import type { Agent, AgentEvent, AgentInput, RunContext } from './agent.ts';
import {
  buildModelRequest,
  type PromptOptions,
  responseFormatOf,
  sizeOf,
  type ToolOffer,
} from './model-request.ts';
import { createFreeOutput, createStructuredOutput, type RunOutput } from './run-output.ts';
import { openStep, type RecordedStep, type StepRecord } from './step-journal.ts';
import {
  afterResponse,
  afterTools,
  assertBudget,
  DEFAULT_RUN_LIMITS,
  hasStepLeft,
  hasEffectOnce,
  INITIAL_STATE,
  offerOf,
  planStep,
  type RunLimits,
  type RunState,
  type StepPlan,
  toRunResult,
  withCorrection,
} from './run-state.ts';
import { createOutputCheck } from './structured-output.ts';
import type { Tool } from './tool.ts';
import { executeToolCalls, type ToolCallOutcome, type ToolLimits } from './tool-calls.ts';

interface AgentOptions extends PromptOptions {
  readonly model: Model;
  readonly limits?: RunLimits | undefined;
}

/**
 * The agent: a run is a loop of steps. Each step is one model call; if it calls the agent's own
 * tools, they run and the next step reads their results.
 */
export function createAgent({
  model,
  limits = DEFAULT_RUN_LIMITS,
  ...prompt
}: AgentOptions): Agent {
  const options = { prompt, limits };
  return {
    async run(input, context) {
      const callModel: CallModel = (request) => completeStep(model, { request, context });
      for await (const event of runSteps(input, { ...options, context, callModel })) {
        if (event.type === 'done') return event.result;
      }
      throw interrupted();
    },
    stream(input, context) {
      const callModel: CallModel = (request, output) =>
        streamStep(model, { request, context, output });
      return runSteps(input, { ...options, context, callModel, isStreamed: true });
    },
  };
}

/** One step: yields the text as it arrives, if it is streamed, and returns the response. */
type CallModel = (
  request: ModelRequest,
  output: RunOutput,
) => AsyncGenerator<TextDelta, ModelResponse>;

interface StepCall {
  readonly request: ModelRequest;
  readonly context: RunContext;
}

// oxlint-disable-next-line require-yield -- a whole answer has no deltas
async function* completeStep(
  model: Model,
  { request, context }: StepCall,
): AsyncGenerator<TextDelta, ModelResponse> {
  return model.complete(request, context);
}

async function* streamStep(
  model: Model,
  { request, context, output }: StepCall & { readonly output: RunOutput },
): AsyncGenerator<TextDelta, ModelResponse> {
  for await (const event of model.stream(request, context)) {
    if (event.type === 'done') return event.response;
    const delta = output.pass(event);
    if (delta !== undefined) yield delta;
  }
  throw interrupted();
}

function interrupted(): ServiceError {
  return new ServiceError('upstream_interrupted', 'The model stopped in the middle of its answer');
}

interface RunOptions {
  readonly context: RunContext;
  readonly prompt: PromptOptions;
  readonly limits: RunLimits;
  readonly callModel: CallModel;
  /** Steps of an earlier attempt are streamed again: a reader that knows them leaves them out. */
  readonly isStreamed?: true;
}

async function* runSteps(input: AgentInput, options: RunOptions): AsyncGenerator<AgentEvent, void> {
  const { context } = options;
  const { journal } = context;
  const limits = limitsOf(input, options.limits);
  const prompt = promptFor(context, options.prompt);
  const output = await createRunOutput(input, prompt);
  let state = INITIAL_STATE;
  for (;;) {
    const tools = prompt.tools?.() ?? [];
    const number = state.steps;
    const recorded = journal?.steps[number];
    const step = yield* takeStep(input, { ...options, prompt, limits, output, state, recorded });
    state = step.state;
    const { response, offer } = step;
    const plan = planStep(response, { input, state, limits, offer, tools });
    const correction =
      plan.kind === 'end' ? output.check(response, hasStepLeft(state, limits)) : undefined;
    const goesOn = plan.kind === 'continue' || correction !== undefined;
    const once = onceCallsOf(plan, { tools, response, recorded });
    const isLast = !goesOn && plan.run.length === 0;
    const record = journal && (await openStep(journal, { step: number, response, once, isLast }));
    if (plan.run.length + plan.refused.length > 0) {
      const outcomes = yield* runTools(plan, { tools, context, limits: limits.tool, record });
      const before = state.added.length;
      state = afterTools(state, { response, outcomes, hasEffect: once.length > 0 });
      context.onToolStep?.(state.added.slice(before));
    }
    if (correction !== undefined) state = withCorrection(state, correction);
    if (goesOn) continue;
    context.telemetry.record('runSteps', state.steps);
    const text = output.join(state.texts, response);
    yield { type: 'done', result: toRunResult(state, { response, plan, text }) };
    return;
  }
}

interface OnceContext {
  readonly tools: readonly Tool[];
  readonly response: ModelResponse;
  readonly recorded: RecordedStep | undefined;
}

/** The calls that change something outside. Tools may have changed since an earlier attempt. */
function onceCallsOf(
  { run }: StepPlan,
  { tools, response, recorded }: OnceContext,
): readonly ModelToolCall[] {
  if (recorded === undefined) return run.filter((call) => hasEffectOnce(call, tools));
  return response.toolCalls.filter((_, position) => recorded.once.includes(position));
}

interface StepContext extends RunOptions {
  readonly output: RunOutput;
  readonly state: RunState;
  /** The step of an earlier attempt. */
  readonly recorded: RecordedStep | undefined;
}

interface TakenStep {
  readonly response: ModelResponse;
  readonly offer: ToolOffer;
  /** The state after the response. */
  readonly state: RunState;
}

/** One step: the response of an earlier attempt, or reserves its tokens and calls the model. */
async function* takeStep(
  input: AgentInput,
  { context, prompt, limits, callModel, isStreamed, output, state: before, ...step }: StepContext,
): AsyncGenerator<AgentEvent, TakenStep> {
  const { recorded } = step;
  output.startStep();
  const offer = offerOf(input, { state: before, limits });
  if (recorded !== undefined) {
    const { response } = recorded;
    if (isStreamed === true) yield* replayText(response, output);
    yield { type: 'step-end', usage: response.usage };
    return { response, offer, state: afterResponse(before, response) };
  }
  const request = buildModelRequest(input, prompt, { added: before.added, offer });
  if (before.steps > 0) {
    assertBudget(before, limits);
    await context.reserveStep?.(sizeOf(request));
  }
  const response = yield* callModel(request, output);
  const state = afterResponse(before, response);
  context.onStepEnd?.(response.usage);
  yield { type: 'step-end', usage: response.usage };
  return { response, offer, state };
}

function* replayText({ text, refusal }: ModelResponse, output: RunOutput): Generator<TextDelta> {
  const whole: TextDelta =
    refusal === undefined
      ? { type: 'text-delta', text }
      : { type: 'text-delta', text: refusal, isRefusal: true };
  const delta = whole.text === '' ? undefined : output.pass(whole);
  if (delta !== undefined) yield delta;
}

function limitsOf({ maxOwnToolCalls }: AgentInput, limits: RunLimits): RunLimits {
  const { maxToolCalls } = limits;
  return { ...limits, maxToolCalls: Math.min(maxToolCalls, maxOwnToolCalls ?? maxToolCalls) };
}

/**
 * A background run is repeated if it fails or if its process ends. Without a journal it would repeat
 * its tools, so it is offered repeatable tools only.
 */
function promptFor(context: RunContext, prompt: PromptOptions): PromptOptions {
  const { tools } = prompt;
  if (tools === undefined) return prompt;
  const isRepeated = context.isBackground === true && context.journal === undefined;
  const canUse = ({ effect, needsConversation }: Tool): boolean =>
    (!isRepeated || effect === 'none') &&
    (needsConversation !== true || context.searchConversation !== undefined);
  return { ...prompt, tools: () => tools().filter(canUse) };
}

/** @throws ServiceError invalid_request if the schema of the client cannot be used */
async function createRunOutput(input: AgentInput, prompt: PromptOptions): Promise<RunOutput> {
  const format = responseFormatOf(input, prompt);
  if (format === undefined) return createFreeOutput();
  const check = await createOutputCheck(format, input.responseFormat?.param);
  return check === undefined ? createFreeOutput() : createStructuredOutput(check, format);
}

interface ToolStepOptions {
  readonly tools: readonly Tool[];
  readonly context: RunContext;
  readonly limits: ToolLimits;
  readonly record: StepRecord | undefined;
}

async function* runTools(
  { run, refused }: StepPlan,
  options: ToolStepOptions,
): AsyncGenerator<AgentEvent, readonly ToolCallOutcome[]> {
  const outcomes = [...refused];
  for (const { id, name } of run) yield { type: 'tool-call', id, name };
  for await (const outcome of executeToolCalls(run, options)) {
    outcomes.push(outcome);
    yield { type: 'tool-result', id: outcome.call.id, ...outcome.summary };
  }
  return outcomes;
}
