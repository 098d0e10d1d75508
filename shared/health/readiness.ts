import type { Clock } from '../clock.ts';
import { type ErrorCode, ServiceError } from '../errors.ts';
import { withTimeout } from '../resilience/abort.ts';
import { describeError } from '../telemetry/describe-error.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

export type Status = 'ready' | 'degraded' | 'unready';

/** The current state of one part of the service. `reason` is fixed text, safe to show to any caller. */
export interface PartStatus {
  readonly status: Status;
  readonly reason?: string;
  /** The error code, if the check provides one. */
  readonly code?: ErrorCode;
  /** The source of each setting of this part, by name. */
  readonly sources?: Readonly<Record<string, string>>;
}

export interface ReadinessReport {
  /** unready: chat is impossible; degraded: any other part is not ready. */
  readonly status: Status;
  readonly chat: PartStatus;
  readonly batch: PartStatus;
  readonly secrets?: PartStatus;
  /** Present if Redis is configured. */
  readonly redis?: PartStatus;
  /** Present if a guardrail is on. */
  readonly guardrails?: PartStatus;
  /** Present if the settings name MCP servers. */
  readonly tools?: PartStatus;
}

export interface Readiness {
  report(): Promise<ReadinessReport>;
}

/** Checks one part. May reject or never settle; must not make a paid call. */
export type Check = (signal: AbortSignal) => Promise<PartStatus>;

interface ReadinessOptions {
  readonly checks: {
    readonly chat: Check;
    readonly batch: Check;
    readonly secrets?: Check;
    readonly redis?: Check | undefined;
    readonly guardrails?: Check | undefined;
    readonly tools?: Check | undefined;
  };
  /** How long a report is reused, so that frequent probes cost nothing. */
  readonly cacheMs: number;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

export function createReadiness(options: ReadinessOptions): Readiness {
  const { checks, cacheMs, clock } = options;
  let latest: { readonly at: number; readonly report: Promise<ReadinessReport> } | undefined;
  async function runChecks(): Promise<ReadinessReport> {
    const [chat, batch, secrets, redis, guardrails, tools] = await Promise.all([
      runCheck('chat', { check: checks.chat, options }),
      runCheck('batch', { check: checks.batch, options }),
      checks.secrets && runCheck('secrets', { check: checks.secrets, options }),
      checks.redis && runCheck('redis', { check: checks.redis, options }),
      checks.guardrails && runCheck('guardrails', { check: checks.guardrails, options }),
      checks.tools && runCheck('tools', { check: checks.tools, options }),
    ]);
    const others = {
      batch,
      ...(secrets === undefined ? {} : { secrets }),
      ...(redis === undefined ? {} : { redis }),
      ...(guardrails === undefined ? {} : { guardrails }),
      ...(tools === undefined ? {} : { tools }),
    };
    return { status: overall(chat, Object.values(others)), chat, ...others };
  }
  return {
    report() {
      const now = clock.now();
      // The distance in both directions: a clock that was set back must not extend the report's life.
      const isFresh = latest !== undefined && Math.abs(now - latest.at) < cacheMs;
      if (latest === undefined || !isFresh) latest = { at: now, report: runChecks() };
      return latest.report;
    },
  };
}

function overall(chat: PartStatus, others: readonly PartStatus[]): Status {
  if (chat.status === 'unready') return 'unready';
  return [chat, ...others].every(({ status }) => status === 'ready') ? 'ready' : 'degraded';
}

async function runCheck(
  part: string,
  { check, options }: { check: Check; options: ReadinessOptions },
): Promise<PartStatus> {
  const { timeoutMs, telemetry } = options;
  const abort = new AbortController();
  try {
    const timeout = { timeoutMs, onTimeout: () => new CheckTimeoutError('The check timed out') };
    return await withTimeout(check(abort.signal), timeout);
  } catch (error) {
    abort.abort();
    if (error instanceof CheckTimeoutError) {
      telemetry.warn('readiness check timed out', { part, timeoutMs });
      return { status: 'unready', reason: 'the check timed out' };
    }
    telemetry.warn('readiness check failed', { part, cause: describeError(error) });
    // Only messages of ServiceError are safe to show to callers.
    if (error instanceof ServiceError) {
      return { status: 'unready', code: error.code, reason: error.message };
    }
    return { status: 'unready', reason: 'the check failed' };
  }
}

class CheckTimeoutError extends Error {}

/** The state of one model endpoint, as seen from regular calls. */
export interface ObservedEndpoint {
  readonly name: string;
  readonly circuit: 'closed' | 'open' | 'half-open';
  /** Milliseconds since the epoch. */
  readonly coolingDownUntil?: number | undefined;
  readonly lastSuccessAt?: number | undefined;
  readonly lastFailureAt?: number | undefined;
  readonly lastFailureCode?: ErrorCode | undefined;
}

/** Failures that persist until an operator acts. */
const NEEDS_OPERATOR: ReadonlySet<ErrorCode | undefined> = new Set<ErrorCode>([
  'upstream_auth',
  'upstream_misconfigured',
  'upstream_quota',
]);

/**
 * How long such a failure makes an endpoint unavailable, in milliseconds. Afterwards a call must
 * show whether it was mended: a front end that follows readiness would otherwise never send one.
 */
const OPERATOR_FAILURE_MS = 60_000;

/** Derives the state of chat from the calls that its endpoints got, without calling any of them. */
export function chatStatus(endpoints: readonly ObservedEndpoint[], now: number): PartStatus {
  const states = endpoints.map((endpoint) => stateOf(endpoint, now));
  if (states.every((state) => state === 'unavailable')) {
    return { status: 'unready', reason: 'no model endpoint is available' };
  }
  if (states.includes('unavailable')) {
    return { status: 'degraded', reason: 'a model endpoint is unavailable' };
  }
  if (states.includes('unproven')) {
    return { status: 'degraded', reason: 'a model endpoint was misconfigured at the last call' };
  }
  return { status: 'ready' };
}

function stateOf(
  endpoint: ObservedEndpoint,
  now: number,
): 'available' | 'unproven' | 'unavailable' {
  const { circuit, coolingDownUntil = 0, lastSuccessAt = 0, lastFailureAt = 0 } = endpoint;
  if (circuit === 'open' || coolingDownUntil > now) return 'unavailable';
  if (!NEEDS_OPERATOR.has(endpoint.lastFailureCode) || lastFailureAt < lastSuccessAt) {
    return 'available';
  }
  // The distance in both directions: a clock that was set back must not extend the time.
  return Math.abs(now - lastFailureAt) < OPERATOR_FAILURE_MS ? 'unavailable' : 'unproven';
}
