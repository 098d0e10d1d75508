import type { Clock } from '../clock.ts';
import { type ErrorCode, ServiceError } from '../errors.ts';
import { describeError } from '../telemetry/describe-error.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

export type Status = 'ready' | 'degraded' | 'unready';

/** What one part of the service can do right now. `reason` is fixed text, safe for anybody. */
export interface PartStatus {
  readonly status: Status;
  readonly reason?: string;
  /** Why, for programs, where the check says so. */
  readonly code?: ErrorCode;
  /** Where each of some settings came from, by name. */
  readonly sources?: Readonly<Record<string, string>>;
}

export interface ReadinessReport {
  /** unready while chat is impossible; degraded while anything else is not as it should be. */
  readonly status: Status;
  readonly chat: PartStatus;
  readonly batch: PartStatus;
  readonly secrets?: PartStatus;
  /** Only where one is configured. */
  readonly redis?: PartStatus;
}

export interface Readiness {
  report(): Promise<ReadinessReport>;
}

/** Looks at one part; may fail or hang, and never makes a paid call. */
export type Check = (signal: AbortSignal) => Promise<PartStatus>;

export interface ReadinessOptions {
  readonly checks: {
    readonly chat: Check;
    readonly batch: Check;
    readonly secrets?: Check;
    readonly redis?: Check | undefined;
  };
  /** How long a report is given out again, so that probes cost nothing. */
  readonly cacheMs: number;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

export function createReadiness(options: ReadinessOptions): Readiness {
  const { checks, cacheMs, clock } = options;
  let latest: { readonly at: number; readonly report: Promise<ReadinessReport> } | undefined;
  async function look(): Promise<ReadinessReport> {
    const [chat, batch, secrets, redis] = await Promise.all([
      withTimeout('chat', { check: checks.chat, options }),
      withTimeout('batch', { check: checks.batch, options }),
      checks.secrets && withTimeout('secrets', { check: checks.secrets, options }),
      checks.redis && withTimeout('redis', { check: checks.redis, options }),
    ]);
    const others = {
      batch,
      ...(secrets === undefined ? {} : { secrets }),
      ...(redis === undefined ? {} : { redis }),
    };
    return { status: overall(chat, Object.values(others)), chat, ...others };
  }
  return {
    report() {
      const now = clock.now();
      // A clock that was set back must not keep an old report alive.
      const isFresh = latest !== undefined && Math.abs(now - latest.at) < cacheMs;
      if (latest === undefined || !isFresh) latest = { at: now, report: look() };
      return latest.report;
    },
  };
}

function overall(chat: PartStatus, others: readonly PartStatus[]): Status {
  if (chat.status === 'unready') return 'unready';
  return [chat, ...others].every(({ status }) => status === 'ready') ? 'ready' : 'degraded';
}

async function withTimeout(
  part: string,
  { check, options }: { check: Check; options: ReadinessOptions },
): Promise<PartStatus> {
  const abort = new AbortController();
  const late = Promise.withResolvers<PartStatus>();
  const timer = setTimeout(() => {
    abort.abort();
    options.telemetry.warn('readiness check timed out', { part, timeoutMs: options.timeoutMs });
    late.resolve({ status: 'unready', reason: 'the check did not answer in time' });
  }, options.timeoutMs);
  try {
    return await Promise.race([check(abort.signal), late.promise]);
  } catch (error) {
    options.telemetry.warn('readiness check failed', { part, cause: describeError(error) });
    // Its message is made for callers; that of any other error is not.
    if (error instanceof ServiceError) {
      return { status: 'unready', code: error.code, reason: error.message };
    }
    return { status: 'unready', reason: 'the check failed' };
  } finally {
    clearTimeout(timer);
  }
}

/** What is known of one model endpoint from the calls that were made anyway. */
export interface ObservedEndpoint {
  readonly name: string;
  readonly circuit: 'closed' | 'open' | 'half-open';
  /** Milliseconds since the epoch. */
  readonly coolingDownUntil?: number | undefined;
  readonly lastSuccessAt?: number | undefined;
  readonly lastFailureAt?: number | undefined;
  readonly lastFailureCode?: ErrorCode | undefined;
}

/** Failures that time does not heal: the endpoint is of no use until somebody acts. */
const NEEDS_OPERATOR: ReadonlySet<ErrorCode | undefined> = new Set<ErrorCode>([
  'upstream_auth',
  'upstream_misconfigured',
  'upstream_quota',
]);

/** Judges chat by its endpoints' circuits: a look that costs nothing and calls nobody. */
export function chatStatus(endpoints: readonly ObservedEndpoint[], now: number): PartStatus {
  const usable = endpoints.filter((endpoint) => isEndpointUsable(endpoint, now));
  if (usable.length === 0) return { status: 'unready', reason: 'no model endpoint is in use' };
  if (usable.length === endpoints.length) return { status: 'ready' };
  return { status: 'degraded', reason: 'a model endpoint is out of use' };
}

function isEndpointUsable(endpoint: ObservedEndpoint, now: number): boolean {
  const { circuit, coolingDownUntil = 0, lastSuccessAt = 0, lastFailureAt = 0 } = endpoint;
  if (NEEDS_OPERATOR.has(endpoint.lastFailureCode) && lastFailureAt >= lastSuccessAt) return false;
  return circuit !== 'open' && coolingDownUntil <= now;
}
