import type { Agent, TurnContext } from '../agent/agent.ts';
import { parseChatRequest } from '../agent/chat-request.ts';
import { isRetryable, ServiceError, toServiceError } from '../errors.ts';
import { describeCause } from '../telemetry/describe-cause.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { customIdOf, parseItem } from './job.ts';
import { answered, failed, type ItemPlace, type ResultLine } from './result.ts';

/** What became of one try at one item. Only `result` is an end. */
export type ItemOutcome =
  | { readonly kind: 'result'; readonly line: ResultLine }
  | { readonly kind: 'try again'; readonly code: string; readonly afterSeconds: number | undefined }
  | { readonly kind: 'stopped' };

export interface ItemOptions {
  readonly place: ItemPlace;
  readonly agent: Agent;
  readonly deadlineMs: number;
  /** Aborts when the job must let go; the item is then neither answered nor failed. */
  readonly stop: AbortSignal;
  readonly traceparent: string;
  readonly telemetry: Telemetry;
}

/** Asks the agent one item. Never throws: what goes wrong is the item's outcome. */
export async function answerItem(item: unknown, options: ItemOptions): Promise<ItemOutcome> {
  const { place, stop } = options;
  const parsed = parseItem(item);
  if (parsed === undefined) {
    const message = 'An item must be {"custom_id": text, "body": object} and nothing else';
    return { kind: 'result', line: failed(place, 'invalid_item', message) };
  }
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(tooLate()), options.deadlineMs);
  const requestId = crypto.randomUUID();
  try {
    const context: TurnContext = {
      signal: AbortSignal.any([stop, late.signal]),
      deadlineAt: Date.now() + options.deadlineMs,
      traceparent: options.traceparent,
      telemetry: options.telemetry.with({ requestId }),
    };
    const reply = await options.agent.answer(parseChatRequest(parsed.body), context);
    return { kind: 'result', line: answered(place, requestId, { ...reply, requestId }) };
  } catch (thrown) {
    if (stop.aborted) return { kind: 'stopped' };
    return failure(toServiceError(thrown), { place, telemetry: options.telemetry });
  } finally {
    clearTimeout(timer);
  }
}

function failure(
  error: ServiceError,
  { place, telemetry }: { place: ItemPlace; telemetry: Telemetry },
): ItemOutcome {
  const { code } = error;
  telemetry.info('batch item failed', {
    index: place.index,
    code,
    cause: describeCause(error.cause),
  });
  if (isRetryable(code)) return { kind: 'try again', code, afterSeconds: error.retryAfterSeconds };
  return { kind: 'result', line: failed(place, code, error.message) };
}

function tooLate(): ServiceError {
  return new ServiceError('upstream_timeout', 'The model did not answer the item in time');
}

/** Where an item stands in its job, and what its producer calls it. */
export function placeOf(jobId: string, index: number, item: unknown): ItemPlace {
  return { jobId, index, customId: customIdOf(item) };
}
