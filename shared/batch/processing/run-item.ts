import type { Agent, AgentInput, RunContext, RunResult } from '../../agent/agent.ts';
import {
  errorAnswerLine,
  successLine,
  failureLine,
  INPUT_DELETED,
  type ItemPlace,
  parseItem,
  type ResultLine,
  INVALID_LINE,
} from '../model/item.ts';
import type { Clock } from '../../clock.ts';
import {
  BUDGET_RETRY_SECONDS,
  type BudgetedRun,
  type ExhaustedBudget,
  type ItemReservation,
} from './owner-budget.ts';
import { type ErrorCode, isRetryable, ServiceError } from '../../errors.ts';
import { createEffectScope, type StepJournal } from '../../agent/step-journal.ts';
import { type Frame, type Protocol, toProtocolError } from '../../protocols/protocol.ts';
import { protocolOfBody } from '../../protocols/registry.ts';
import type { ValidationIssue } from '../../protocols/validation.ts';
import { raceAbort } from '../../resilience/abort.ts';
import type { AuditTrail } from '../../telemetry/audit.ts';
import { describeError } from '../../telemetry/describe-error.ts';
import type { Telemetry } from '../../telemetry/telemetry.ts';

/** The outcome of an attempt that concerns the item. Only `result` is final. */
export type AttemptOutcome =
  | { readonly kind: 'result'; readonly line: ResultLine }
  | {
      readonly kind: 'retry';
      readonly code: ErrorCode;
      readonly retryAfterSeconds: number | undefined;
      /** The request that failed. */
      readonly requestId: string;
    };

/** The outcome of one attempt at one item. */
export type ItemOutcome =
  | AttemptOutcome
  | ExhaustedBudget
  /** The pass was stopped; the item has neither succeeded nor failed. */
  | { readonly kind: 'stopped' };

export interface ItemOptions {
  readonly place: ItemPlace;
  readonly agent: Agent;
  /** The model name in responses. */
  readonly publicModel: string;
  readonly itemDeadlineMs: number;
  /**
   * Reserves the tokens of an item from the daily budget of its owner.
   * @throws ServiceError context_too_long if the item can never fit
   */
  readonly reserve: (input: AgentInput) => Promise<ItemReservation>;
  /** Aborts when the pass must stop. */
  readonly stop: AbortSignal;
  readonly traceparent: string;
  /** The clock by which the agent reads its deadline. */
  readonly agentClock: Clock;
  readonly telemetry: Telemetry;
  /** Where the run keeps its finished steps. */
  readonly journal?: StepJournal | undefined;
  /** What the audit log says about the item. */
  readonly audit: AuditTrail;
}

/** Runs the agent for one item. Never throws: a failure is the item's outcome. */
export async function runItem(item: unknown, options: ItemOptions): Promise<ItemOutcome> {
  const { place, stop } = options;
  const parsed = parseItem(item);
  if (!parsed.ok) {
    return { kind: 'result', line: invalidItemLine(item, { place, issue: parsed.issue }) };
  }
  const requestId = crypto.randomUUID();
  const telemetry = options.telemetry.with({ requestId });
  const protocol = protocolOfBody(parsed.item.body);
  try {
    const { input, encode } = readBody(parsed.item.body, {
      protocol,
      requestId,
      startedAt: options.agentClock.now(),
      publicModel: options.publicModel,
    });
    const reservation = await options.reserve(input);
    if (reservation.kind === 'budget exhausted') return reservation;
    const { run } = reservation;
    try {
      const result = await runAgent(input, { ...options, telemetry, hooks: run.hooks });
      options.audit.addResult(result);
      return { kind: 'result', line: successLine(place, requestId, encode(result)) };
    } finally {
      // Not awaited: it never rejects, and the result does not depend on it.
      void run.settle();
    }
  } catch (thrown) {
    if (stop.aborted) return { kind: 'stopped' };
    const error = toProtocolError(protocol, thrown);
    return failedOutcome(error, { place, requestId, telemetry });
  }
}

interface AgentRunOptions extends ItemOptions {
  readonly hooks: BudgetedRun['hooks'];
}

/** Rejects at the deadline of the item, and when the pass stops. */
async function runAgent(input: AgentInput, options: AgentRunOptions): Promise<RunResult> {
  const { agent, stop, itemDeadlineMs, hooks, audit } = options;
  const scope = createEffectScope(options.journal);
  const timer = setTimeout(() => scope.stop(itemDeadlineExceeded()), itemDeadlineMs);
  const onStop = (): void => scope.stop(stop.reason);
  stop.addEventListener('abort', onStop, { once: true });
  if (stop.aborted) onStop();
  const context: RunContext = {
    ...hooks,
    onStepEnd(usage) {
      hooks.onStepEnd?.(usage);
      audit.addUsage(usage);
    },
    onPartialUsage(usage) {
      hooks.onPartialUsage?.(usage);
      audit.addUsage(usage);
    },
    onDecision: (decision) => audit.addDecision(decision),
    signal: scope.signal,
    effectSignal: scope.effectSignal,
    deadlineAt: options.agentClock.now() + itemDeadlineMs,
    traceparent: options.traceparent,
    isBackground: true,
    journal: scope.journal,
    telemetry: options.telemetry,
  };
  try {
    return await raceAbort(agent.run(input, context), scope.effectSignal);
  } finally {
    clearTimeout(timer);
    scope.close();
    stop.removeEventListener('abort', onStop);
  }
}

/** The result of an item that cannot run. */
function invalidItemLine(
  item: unknown,
  { place, issue }: { readonly place: ItemPlace; readonly issue: ValidationIssue },
): ResultLine {
  if (item === INPUT_DELETED) {
    return failureLine(place, 'input_not_found', 'The input of the batch must stay where it is');
  }
  if (item === INVALID_LINE) {
    const expected = 'The line must be one JSON value in UTF-8, and not longer than 1 MiB';
    return failureLine(place, 'invalid_json_line', expected);
  }
  const name = issue.param === undefined ? 'it' : `"${issue.param}"`;
  return failureLine(place, 'invalid_item', `Cannot accept the item: ${name} ${issue.expected}`);
}

interface ItemRequest {
  readonly input: AgentInput;
  /** Writes a result in the protocol of the item. */
  readonly encode: (result: RunResult) => unknown;
}

/** @throws ServiceError if the body is not valid in its protocol */
function readBody(
  body: unknown,
  {
    protocol,
    ...frame
  }: Omit<Frame<unknown>, 'request'> & { readonly protocol: Protocol<unknown> },
): ItemRequest {
  const request = protocol.parse(body);
  if (protocol.sessionOf?.(request)?.sessionId !== undefined) throw noSession();
  const encode = (result: RunResult) => protocol.encodeResult(result, { ...frame, request });
  return { input: protocol.toInput(request), encode };
}

function failedOutcome(
  error: ServiceError,
  {
    place,
    requestId,
    telemetry,
  }: { readonly place: ItemPlace; readonly requestId: string; readonly telemetry: Telemetry },
): ItemOutcome {
  const { code, retryAfterSeconds } = error;
  if (code === 'budget_exhausted') {
    // A later step of the run was refused. Its tool calls are in the journal and are not repeated.
    return {
      kind: 'budget exhausted',
      retryAfterSeconds: retryAfterSeconds ?? BUDGET_RETRY_SECONDS,
      nextSettlement: undefined,
    };
  }
  const fields = { index: place.index, code, cause: describeError(error.cause) };
  if (code === 'internal') telemetry.error('batch item failed', fields);
  else telemetry.info('batch item failed', fields);
  const mayRetry = isRetryable(code) || throttleReasonOf(code) === 'capacity';
  if (mayRetry) return { kind: 'retry', code, retryAfterSeconds, requestId };
  return { kind: 'result', line: errorAnswerLine(place, error, requestId) };
}

function itemDeadlineExceeded(): ServiceError {
  return new ServiceError('upstream_timeout', 'The model did not answer the item in time');
}

/**
 * Why the model serves no item at the moment. `capacity`: a limit is reached, or the service may
 * not call the model. `unavailable`: the endpoint fails; one item can be the cause of that, so it
 * counts as throttling only if no other item succeeds.
 */
export type ThrottleReason = 'capacity' | 'unavailable';

/** Undefined for a code that concerns the item alone. */
export function throttleReasonOf(code: ErrorCode): ThrottleReason | undefined {
  switch (code) {
    case 'upstream_rate_limited':
    case 'rate_limited':
    case 'overloaded':
    case 'config_unavailable':
    case 'upstream_auth':
    case 'upstream_quota':
      return 'capacity';
    case 'upstream_unavailable':
      return 'unavailable';
    default:
      return undefined;
  }
}

interface AuditedResult {
  readonly shard: { readonly id: string; readonly first: number };
  /** Within the shard. */
  readonly index: number;
  readonly audit: AuditTrail;
  readonly telemetry: Telemetry;
}

/** The line of an item in the audit log, once its result is durable. */
export function writeItemAudit(
  { error }: ResultLine,
  { shard, index, audit, telemetry }: AuditedResult,
): void {
  audit.write((fields) => telemetry.audit(fields), {
    action: 'batch item',
    outcome: error?.code ?? 'ok',
    durationMs: Math.round(audit.elapsedMs()),
    fields: { batchId: shard.id, index: shard.first + index },
  });
}

/** Items run in any order, and several at once. */
function noSession(): ServiceError {
  const message = 'Cannot accept the request: "sessionId" must be left out in a batch';
  return new ServiceError('invalid_request', message, { param: 'sessionId' });
}
