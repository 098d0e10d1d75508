import { ServiceError } from '../errors.ts';
import type { Model, ModelRequest, ModelResponse, ModelToolCall } from '../model/model.ts';
import type { Agent, AgentEvent, AgentInput, RunContext } from './agent.ts';
import {
  buildModelRequest,
  type PromptOptions,
  responseFormatOf,
  sizeOf,
  type ToolOffer,
} from './model-request.ts';
import {
  createFreeOutput,
  createStructuredOutput,
  type RunOutput,
  type TextDelta,
} from './run-output.ts';
import { openStep, type RecordedStep, type StepRecord } from './run-journal.ts';
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
  return {
    async run(input, context) {
      const callModel: CallModel = (request) => completeStep(model, { request, context });
      for await (const event of runSteps(input, { context, prompt, limits, callModel })) {
        if (event.type === 'done') return event.result;
      }
      throw interrupted();
    },
    stream(input, context) {
      const callModel: CallModel = (request, output) =>
        streamStep(model, { request, context, output });
      return runSteps(input, { context, prompt, limits, callModel });
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
}

async function* runSteps(input: AgentInput, options: RunOptions): AsyncGenerator<AgentEvent, void> {
  const { context } = options;
  const { journal } = context;
  const limits = limitsOf(input, options.limits);
  const prompt = promptFor(context, options.prompt);
  const output = await createRunOutput(input, prompt);
  let state = INITIAL_STATE;
  for (;;) {
    output.startStep();
    const step = state.steps;
    const tools = prompt.tools?.() ?? [];
    const offer = offerOf(input, { state, limits });
    const response =
      journal?.steps[step]?.response ??
      (yield* takeStep(input, { ...options, prompt, limits, state, offer, output }));
    state = afterResponse(state, response);
    yield { type: 'step-end', usage: response.usage };
    const plan = planStep(response, { input, state, limits, offer, tools });
    if (plan.run.length + plan.refused.length > 0) {
      const once = onceCallsOf(plan, { tools, response, recorded: journal?.steps[step] });
      const record = journal && (await openStep(journal, { step, response, once }));
      const outcomes = yield* runTools(plan, { tools, context, limits: limits.tool, record });
      state = afterTools(state, { response, outcomes, hasEffect: once.length > 0 });
    }
    if (plan.kind === 'continue') continue;
    if (plan.kind === 'end') {
      const correction = output.check(response, hasStepLeft(state, limits));
      if (correction !== undefined) {
        if (journal !== undefined) await openStep(journal, { step, response, once: [] });
        state = withCorrection(state, correction);
        continue;
      }
    }
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
  readonly state: RunState;
  readonly offer: ToolOffer;
  readonly output: RunOutput;
}

/** Calls the model for one step, within the bounds of the run. */
async function* takeStep(
  input: AgentInput,
  { context, prompt, limits, state, offer, output, callModel }: StepContext,
): AsyncGenerator<TextDelta, ModelResponse> {
  const request = buildModelRequest(input, prompt, { added: state.added, offer });
  if (state.steps > 0) {
    assertBudget(state, limits);
    await context.reserveStep?.(sizeOf(request));
  }
  const response = yield* callModel(request, output);
  context.onStepEnd?.(response.usage);
  return response;
}

function limitsOf({ maxOwnToolCalls }: AgentInput, limits: RunLimits): RunLimits {
  const { maxToolCalls } = limits;
  return { ...limits, maxToolCalls: Math.min(maxToolCalls, maxOwnToolCalls ?? maxToolCalls) };
}

/**
 * A background run is repeated if it fails or if its process ends. Without a journal it would repeat
 * its tools, so it is offered repeatable tools only.
 */
function promptFor({ isBackground, journal }: RunContext, prompt: PromptOptions): PromptOptions {
  const { tools } = prompt;
  if (isBackground !== true || journal !== undefined || tools === undefined) return prompt;
  return { ...prompt, tools: () => tools().filter(({ effect }) => effect === 'none') };
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
