import { ServiceError } from '../errors.ts';
import { parseJson } from '../json.ts';
import type { ModelToolCall } from '../model/model.ts';
import { linkController, raceAbort } from '../resilience/abort.ts';
import { describeError } from '../telemetry/describe-error.ts';
import { withToolSpan } from '../telemetry/spans.ts';
import type { RunContext, ToolCallSummary } from './agent.ts';
import type { StepRecord } from './step-journal.ts';
import {
  asData,
  type Tool,
  ToolInputError,
  ToolReportedError,
  ToolUnavailableError,
} from './tool.ts';

/** The bounds of one tool call. A tool may override them. */
export interface ToolLimits {
  readonly timeoutMs: number;
  /** Longer output is cut, with a notice for the model. */
  readonly maxOutputChars: number;
}

/** How one call ended. */
export interface ToolCallOutcome {
  readonly call: ModelToolCall;
  readonly summary: ToolCallSummary;
  /** What the model reads. */
  readonly output: string;
}

interface ToolCallOptions {
  readonly tools: readonly Tool[];
  readonly context: RunContext;
  readonly limits: ToolLimits;
  /** The calls of this step in the journal of the run. */
  readonly record?: StepRecord | undefined;
}

/**
 * Runs the calls in parallel and yields each as it ends. A call that fails is an outcome with one
 * sentence for the model; neither the model nor the caller sees the error.
 * @throws the reason of the signal if the run ends, and ServiceError guardrail_blocked
 */
export async function* executeToolCalls(
  calls: readonly ModelToolCall[],
  options: ToolCallOptions,
): AsyncGenerator<ToolCallOutcome, void> {
  const running = new Map<number, Promise<readonly [number, ToolCallOutcome]>>(
    calls.map((call, index) => [
      index,
      executeOrFind(call, options).then((outcome) => [index, outcome] as const),
    ]),
  );
  try {
    while (running.size > 0) {
      const [index, outcome] = await Promise.race(running.values());
      running.delete(index);
      yield outcome;
    }
  } finally {
    // The outcomes of calls with an effect are recorded, also where another call ends the run.
    if (options.record !== undefined) await Promise.allSettled(running.values());
  }
}

/** The outcome of a call that does not run. */
export function refuseToolCall(call: ModelToolCall, output: string): ToolCallOutcome {
  return { call, output, summary: { name: printableName(call), status: 'failed', durationMs: 0 } };
}

/** The outcome of a call that an earlier attempt began and must not be repeated. */
export function interruptToolCall(call: ModelToolCall): ToolCallOutcome {
  const name = printableName(call);
  const output = `The call of "${name}" was interrupted. It may have taken effect, so it was not repeated. Do not call it again.`;
  return { call, output, summary: { name, status: 'interrupted', durationMs: 0 } };
}

/** Runs a call, unless the journal of the run has its outcome. */
async function executeOrFind(
  call: ModelToolCall,
  options: ToolCallOptions,
): Promise<ToolCallOutcome> {
  const { record, context } = options;
  const found = record?.find(call);
  if (found !== undefined && found !== 'interrupted') {
    const { output, ...summary } = found;
    return { call, output, summary };
  }
  if (found === 'interrupted') {
    context.telemetry.warn('tool call interrupted', { tool: printableName(call) });
  }
  const outcome: ExecutedCall =
    found === undefined ? await execute(call, options) : interruptToolCall(call);
  await record?.save(call, { ...outcome.summary, output: outcome.output });
  // The result was blocked, but the call has ended.
  if (outcome.blocked !== undefined) throw outcome.blocked;
  return outcome;
}

type ExecutedCall = ToolCallOutcome & {
  /** The error of the guardrail that blocked the result. */
  readonly blocked?: ServiceError;
};

async function execute(
  call: ModelToolCall,
  { tools, context, limits }: ToolCallOptions,
): Promise<ExecutedCall> {
  const tool = tools.find(({ definition }) => definition.name === call.name);
  if (tool === undefined) return refuseToolCall(call, describeUnknownTool(call, tools));
  const { name } = tool.definition;
  const startedAt = performance.now();
  const end = (status: ToolCallSummary['status'], output: string): ToolCallOutcome => ({
    call,
    output,
    summary: { name, status, durationMs: Math.round(performance.now() - startedAt) },
  });
  try {
    const { traceparent: parent, telemetry } = context;
    const output = await withToolSpan({ name, parent, telemetry }, (traceparent) =>
      callInTime(tool, { call, traceparent, context, limits }),
    );
    return end('ok', await presentOutput(output, { tool, limits, context }));
  } catch (thrown) {
    if (signalOf(tool, context).aborted) throw thrown;
    if (isBlockedByGuardrail(thrown)) {
      return { ...end('ok', `The result of "${name}" was blocked.`), blocked: thrown };
    }
    context.telemetry.warn('tool call failed', { tool: name, cause: describeError(thrown) });
    const failure = await describeFailure(thrown, { tool, limits, context });
    return end('failed', failure.toWellFormed());
  }
}

interface TimedCall {
  readonly call: ModelToolCall;
  readonly traceparent: string | undefined;
  readonly context: RunContext;
  readonly limits: ToolLimits;
}

/** Ends at the timeout or with the run, even if the tool ignores its signal. */
async function callInTime(
  tool: Tool,
  { call, traceparent, context, limits }: TimedCall,
): Promise<string> {
  const checked = context.toolGuard?.checkToolCall(call) ?? call.arguments;
  const input = parseArguments(checked);
  const timeoutMs = tool.timeoutMs ?? limits.timeoutMs;
  const link = linkController(signalOf(tool, context));
  const { controller } = link;
  const timer = setTimeout(() => controller.abort(new ToolTimeoutError(timeoutMs)), timeoutMs);
  try {
    const { signal } = controller;
    const { telemetry, searchConversation } = context;
    const toolContext = { signal, traceparent, telemetry, searchConversation };
    return await raceAbort(tool.call(input, toolContext), signal);
  } finally {
    clearTimeout(timer);
    link.unlink();
  }
}

/** A guardrail ends the run; a tool that fails does not. */
function isBlockedByGuardrail(thrown: unknown): thrown is ServiceError {
  return thrown instanceof ServiceError && thrown.code === 'guardrail_blocked';
}

function signalOf({ effect }: Tool, { signal, effectSignal }: RunContext): AbortSignal {
  return effect === 'once' ? (effectSignal ?? signal) : signal;
}

class ToolTimeoutError extends Error {
  constructor(timeoutMs: number) {
    super(`did not answer within ${timeoutMs / 1_000} s`);
    this.name = 'ToolTimeoutError';
  }
}

/** Some models send no text for a tool without parameters. */
function parseArguments(text: string): unknown {
  const value = text.trim() === '' ? {} : parseJson(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ToolInputError('They must be one JSON object');
  }
  return value;
}

function describeUnknownTool(call: ModelToolCall, tools: readonly Tool[]): string {
  const names = tools.map(({ definition }) => definition.name).join(', ');
  return `There is no tool named "${printableName(call)}". The tools are: ${names || 'none'}.`;
}

interface PresentOptions {
  readonly tool: Tool;
  readonly limits: ToolLimits;
  readonly context: RunContext;
}

async function describeFailure(thrown: unknown, options: PresentOptions): Promise<string> {
  const { name } = options.tool.definition;
  if (thrown instanceof ToolInputError) {
    return `The arguments of "${name}" are not valid. ${thrown.message}.`;
  }
  if (thrown instanceof ToolReportedError) {
    return `The tool "${name}" reported an error.\n${await presentOutput(thrown.output, options)}`;
  }
  if (thrown instanceof ToolUnavailableError) {
    return `The tool "${name}" is not available. ${thrown.message}.`;
  }
  if (thrown instanceof ToolTimeoutError) return `The tool "${name}" ${thrown.message}.`;
  return `The tool "${name}" failed.`;
}

const MAX_NAME_CHARS = 64;

function printableName({ name }: ModelToolCall): string {
  return name.replaceAll(/[^\w.-]/g, '?').slice(0, MAX_NAME_CHARS);
}

/** Text from outside is cut and checked before it is marked as data, so that the marks stay whole. */
async function presentOutput(
  output: string,
  { tool, limits, context }: PresentOptions,
): Promise<string> {
  const maxChars = tool.maxOutputChars ?? limits.maxOutputChars;
  const { dataFrom } = tool;
  const cut = cutText(output, maxChars);
  const text = (await context.toolGuard?.checkToolResult(cut)) ?? cut;
  const shown = dataFrom === undefined ? text : asData(text, dataFrom);
  if (output.length <= maxChars) return shown;
  return `${shown}\n[The output has ${output.length} characters. It was cut after ${maxChars}.]`;
}

function cutText(text: string, maxChars: number): string {
  if (text.length <= maxChars) return text.toWellFormed();
  // A copy: a slice would keep the whole output in memory until the run ends.
  return Buffer.from(text.slice(0, maxChars).toWellFormed()).toString();
}
