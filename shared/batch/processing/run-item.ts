import type { Agent, AgentInput, RunContext, RunResult } from '../../agent/agent.ts';
import {
  successLine,
  failureLine,
  INPUT_DELETED,
  type ItemPlace,
  parseItem,
  type ResultLine,
  INVALID_LINE,
} from '../model/item.ts';
import type { Clock } from '../../clock.ts';
import { type ErrorCode, isRetryable, ServiceError, toServiceError } from '../../errors.ts';
import type { Frame } from '../../protocols/protocol.ts';
import { protocolOfBody } from '../../protocols/registry.ts';
import type { ValidationIssue } from '../../protocols/validation.ts';
import { raceAbort } from '../../resilience/abort.ts';
import { describeError } from '../../telemetry/describe-error.ts';
import type { Telemetry } from '../../telemetry/telemetry.ts';

/** What became of one try at one item. Only `result` is an end. */
export type ItemOutcome =
  | { readonly kind: 'result'; readonly line: ResultLine }
  | {
      readonly kind: 'try again';
      readonly code: ErrorCode;
      readonly afterSeconds: number | undefined;
    }
  | { readonly kind: 'stopped' };

export interface ItemOptions {
  readonly place: ItemPlace;
  readonly agent: Agent;
  /** The name that clients know the agent by. */
  readonly publicModel: string;
  readonly itemDeadlineMs: number;
  /** Aborts when the job must let go; the item is then neither answered nor failed. */
  readonly stop: AbortSignal;
  readonly traceparent: string;
  /** What the agent reads its deadline by. */
  readonly agentClock: Clock;
  readonly telemetry: Telemetry;
}

/** Asks the agent one item. Never throws: what goes wrong is the item's outcome. */
export async function runItem(item: unknown, options: ItemOptions): Promise<ItemOutcome> {
  const { place, stop, itemDeadlineMs } = options;
  const parsed = parseItem(item);
  if (!parsed.ok) return { kind: 'result', line: noItem(item, { place, fault: parsed.fault }) };
  const ending = new AbortController();
  const timer = setTimeout(() => ending.abort(itemDeadlineExceeded()), itemDeadlineMs);
  const onStop = (): void => ending.abort(stop.reason);
  stop.addEventListener('abort', onStop, { once: true });
  if (stop.aborted) onStop();
  const requestId = crypto.randomUUID();
  const context: RunContext = {
    signal: ending.signal,
    deadlineAt: options.agentClock.now() + itemDeadlineMs,
    traceparent: options.traceparent,
    isBackground: true,
    telemetry: options.telemetry.with({ requestId }),
  };
  try {
    const { input, encode } = readBody(parsed.item.body, {
      requestId,
      startedAt: options.agentClock.now(),
      publicModel: options.publicModel,
    });
    const result = await raceAbort(options.agent.run(input, context), context.signal);
    return { kind: 'result', line: successLine(place, requestId, encode(result)) };
  } catch (thrown) {
    if (stop.aborted) return { kind: 'stopped' };
    return failure(toServiceError(thrown), { place, telemetry: context.telemetry });
  } finally {
    clearTimeout(timer);
    stop.removeEventListener('abort', onStop);
  }
}

/** Why there is nothing to ask. */
function noItem(
  item: unknown,
  { place, fault }: { readonly place: ItemPlace; readonly fault: ValidationIssue },
): ResultLine {
  if (item === INPUT_DELETED) {
    return failureLine(place, 'input_not_found', 'The input of the batch must stay where it is');
  }
  if (item === INVALID_LINE) {
    const wanted = 'The line must be one JSON value in UTF-8, and not longer than 1 MiB';
    return failureLine(place, 'invalid_json_line', wanted);
  }
  const name = fault.param === undefined ? 'it' : `"${fault.param}"`;
  return failureLine(place, 'invalid_item', `Cannot accept the item: ${name} ${fault.expected}`);
}

interface ItemRequest {
  readonly input: AgentInput;
  /** Writes a result in the protocol of the item. */
  readonly encode: (result: RunResult) => unknown;
}

/** @throws ServiceError where the body is not valid in its protocol */
function readBody(body: unknown, frame: Omit<Frame<unknown>, 'request'>): ItemRequest {
  const protocol = protocolOfBody(body);
  const request = protocol.parse(body);
  const encode = (result: RunResult) => protocol.encodeResult(result, { ...frame, request });
  return { input: protocol.toInput(request), encode };
}

function failure(
  error: ServiceError,
  { place, telemetry }: { readonly place: ItemPlace; readonly telemetry: Telemetry },
): ItemOutcome {
  const { code } = error;
  const fields = { index: place.index, code, cause: describeError(error.cause) };
  if (code === 'internal') telemetry.error('batch item failed', fields);
  else telemetry.info('batch item failed', fields);
  const mayHelp = isRetryable(code) || throttleReasonOf(code) === 'no room';
  if (mayHelp) return { kind: 'try again', code, afterSeconds: error.retryAfterSeconds };
  return { kind: 'result', line: failureLine(place, code, error.message) };
}

function itemDeadlineExceeded(): ServiceError {
  return new ServiceError('upstream_timeout', 'The model did not answer the item in time');
}

/**
 * Why nobody is served at the moment, which is no fault of the item: there is no room, or the
 * service itself may not ask. An endpoint that is away can also be one that this very item breaks:
 * that is a refusal only when nobody else got through meanwhile.
 */
export type ThrottleReason = 'no room' | 'away';

/** What a code says of everybody; undefined where it is about the item alone. */
export function throttleReasonOf(code: ErrorCode): ThrottleReason | undefined {
  switch (code) {
    case 'upstream_rate_limited':
    case 'rate_limited':
    case 'budget_exhausted':
    case 'overloaded':
    case 'config_unavailable':
    case 'upstream_auth':
    case 'upstream_quota':
      return 'no room';
    case 'upstream_unavailable':
      return 'away';
    default:
      return undefined;
  }
}
