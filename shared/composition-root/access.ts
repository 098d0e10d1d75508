import type { AgentInput, InputSize } from '../agent/agent.ts';
import { MAX_INPUT_BYTES } from '../batch/input-limits.ts';
import {
  createCallerKeyStore,
  identifyCaller,
  type Caller,
  type CallerEvidence,
} from '../callers/caller.ts';
import type { Clock } from '../clock.ts';
import type { Settings } from '../config/read-config.ts';
import { VARIABLES } from '../config/variables.ts';
import type { CallerLimits } from '../http/admission.ts';
import { createUsageMeter, reserveTokens } from '../rate-limit/reservation.ts';
import type { TokenUsage } from '../model/model.ts';
import {
  createRateLimiter,
  type SharedBuckets,
  withMetrics,
} from '../rate-limit/create-rate-limiter.ts';
import { createOpenCalls } from '../rate-limit/open-calls.ts';
import {
  createMemoryBuckets,
  policiesOf,
  type RateLimitRequest,
  type RateLimiter,
  type Reservation,
} from '../rate-limit/rate-limiter.ts';
import type { Secrets } from '../secrets/secrets.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

interface CallerAccess {
  readonly identify: (evidence: CallerEvidence) => Caller;
  /** @throws ServiceError while the caller keys cannot be read, because no caller is admitted then */
  requireConfigured(): void;
}

/** Identifies callers by the settings and the current caller keys. */
export function createCallerAccess(settings: Settings, secrets: Secrets): CallerAccess {
  const { vaultName } = VARIABLES.callerKeys;
  const { trustEntraPrincipal, entraAppRole, proxiesInFront, ipv6PrefixBits } = settings.callers;
  const rules = {
    trustPrincipal: trustEntraPrincipal,
    requiredRole: entraAppRole,
    needsCredential: settings.routeAuthLevel === 'anonymous',
    proxiesInFront,
    ipv6PrefixBits,
  };
  const keys = createCallerKeyStore({
    read: () => secrets.get(vaultName),
    isAbsent: () =>
      settings.azureKeyVaultUrl === undefined || secrets.missingReason(vaultName) === 'absent',
    missingReason: () => secrets.missingReason(vaultName),
  });
  return {
    identify: (evidence) => identifyCaller(evidence, { ...rules, keys: keys() }),
    requireConfigured: () => void keys(),
  };
}

interface LimitsDependencies {
  readonly settings: Settings;
  /** If undefined, each instance enforces the limits alone. */
  readonly shared: SharedBuckets | undefined;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/** Callers with a bucket in one instance; about 10 MB when all are in use. */
const MAX_CALLERS = 50_000;

/** The limits of all routes, by the settings. */
export function createCallerLimits({
  settings,
  shared,
  clock,
  telemetry,
}: LimitsDependencies): CallerLimits {
  const { mode, ...limits } = settings.limits;
  const limiter = createRateLimiter({
    policies: policiesOf({ ...limits, tokensPerMinute: tokensPerMinuteOf(settings) }),
    mode,
    localBucketsOf: (policy) => createMemoryBuckets({ ...policy, maxKeys: MAX_CALLERS, clock }),
    shared,
    clock,
    telemetry,
  });
  const openCalls = createOpenCalls({
    maxPerCaller: limits.maxOpenCallsPerCaller,
    maxTotal: limits.maxOpenCalls,
    maxQueued: limits.maxQueuedCalls,
    queueTimeoutMs: limits.queueTimeoutMs,
  });
  return { limiter: withMetrics(limiter, telemetry), openCalls, mode, clock };
}

/** No caller may use more than the model takes; 0 stays unlimited. */
function tokensPerMinuteOf({ limits, model }: Settings): number {
  const { capacityTokensPerMinute = limits.tokensPerMinute } = model;
  return Math.min(limits.tokensPerMinute, capacityTokensPerMinute);
}

/** The form around the file of an upload is small. */
const MAX_FORM_BYTES = 65_536;

/** The limits of request bodies, by the settings. */
export function bodyLimitsOf(limits: Settings['limits']) {
  const { bodyStallMs: stallMs, minBodyBytesPerSecond: minBytesPerSecond } = limits;
  const common = { stallMs, minBytesPerSecond };
  return {
    requestBody: {
      ...common,
      maxBytes: limits.maxRequestBytes,
      deadlineMs: limits.bodyDeadlineMs,
    },
    uploadBody: {
      ...common,
      maxBytes: MAX_INPUT_BYTES + MAX_FORM_BYTES,
      deadlineMs: limits.uploadDeadlineMs,
    },
  };
}

interface BackgroundBudgetDependencies {
  readonly limiter: RateLimiter;
  readonly measure: (input: AgentInput) => InputSize;
}

/**
 * Charges a run that has no request of its own to the daily budget of its caller. `terms` says what
 * else of the limits applies.
 */
export function createBackgroundBudget(
  { limiter, measure }: BackgroundBudgetDependencies,
  terms: Pick<RateLimitRequest, 'isBackground' | 'isCounted'>,
) {
  return async (callerId: string, input: AgentInput) => {
    const take = async (tokens: number): Promise<Reservation> => {
      const result = await limiter.reserve({ callerId, tokens, ...terms });
      if (!result.allowed) throw result.error;
      return result.reservation;
    };
    const meter = createUsageMeter(await reserveTokens(measure(input), take));
    return {
      hooks: {
        reserveStep: async (step: InputSize) => meter.addStep(await reserveTokens(step, take)),
        onStepEnd: (usage: TokenUsage) => meter.addUsage(usage),
        onPartialUsage: (usage: TokenUsage) => meter.addPartialUsage(usage),
      },
      settle: () => meter.settle(),
    };
  };
}
