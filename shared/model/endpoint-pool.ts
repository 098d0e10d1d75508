import type { Clock } from '../clock.ts';
import type { ErrorCode } from '../errors.ts';
import type { ModelEndpoint } from './endpoint.ts';
import type { ModelCall } from './model.ts';
import type { EndpointClient } from './openai/chat-completions-client.ts';
import type { UpstreamFailure } from './upstream-error.ts';
import {
  type CircuitState,
  createEndpointPolicies,
  type EndpointPolicies,
} from '../resilience/policies.ts';
import type { ResilienceSettings } from '../resilience/retry-policy.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

/** What readiness reports about an endpoint. Known from real calls only; times since the epoch. */
export interface EndpointState {
  readonly name: string;
  readonly circuit: CircuitState;
  readonly coolingDownUntil?: number;
  readonly lastSuccessAt?: number;
  readonly lastFailureAt?: number;
  readonly lastFailureCode?: ErrorCode;
}

export type CallPriority = Pick<ModelCall, 'isBackground'>;

/** One endpoint with the state that all calls of the process share. */
export interface PooledEndpoint {
  readonly config: ModelEndpoint;
  readonly loadClient: () => Promise<EndpointClient>;
  readonly policies: EndpointPolicies;
  isReady(call: CallPriority): boolean;
  /** The cooldown that applies to a call of this priority. */
  cooldown(call: CallPriority): Cooldown | undefined;
  /**
   * A rate limit that a background call meets applies to background calls only: they send far more
   * at once, so an interactive call may still fit. Every other cooldown applies to all calls.
   */
  setCooldown(cooldown: Cooldown, call: CallPriority): void;
  recordSuccess(): void;
  recordFailure(failure: UpstreamFailure): void;
  state(): EndpointState;
}

export interface PooledEndpointOptions {
  readonly config: ModelEndpoint;
  readonly loadClient: () => Promise<EndpointClient>;
  readonly settings: ResilienceSettings;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

export function createPooledEndpoint(options: PooledEndpointOptions): PooledEndpoint {
  const { config, settings, clock } = options;
  const policies = createEndpointPolicies({
    minCalls: settings.breakerFailures,
    windowSize: settings.breakerWindowSize,
    halfOpenAfterMs: settings.halfOpenAfterMs,
    maxConcurrent: settings.maxConcurrentPerEndpoint,
    maxQueued: settings.maxQueuedPerEndpoint,
    clock,
    onCircuitChange: (state) => logCircuitChange(options, state),
  });
  const general = createCooldownTimer(clock);
  const background = createCooldownTimer(clock);
  let last: Omit<EndpointState, 'name' | 'circuit' | 'coolingDownUntil'> = {};

  function cooldown({ isBackground = false }: CallPriority): Cooldown | undefined {
    return isBackground
      ? laterCooldown(general.current(), background.current())
      : general.current();
  }

  return {
    config,
    loadClient: options.loadClient,
    policies,
    isReady: (call) =>
      cooldown(call) === undefined && policies.isCallPermitted() && policies.hasCapacity(),
    cooldown,
    setCooldown(next, { isBackground = false }) {
      const isBackgroundOnly = isBackground && next.code === 'upstream_rate_limited';
      (isBackgroundOnly ? background : general).extend(next);
    },
    recordSuccess() {
      last = { ...last, lastSuccessAt: clock.now() };
    },
    recordFailure({ code }) {
      last = { ...last, lastFailureAt: clock.now(), lastFailureCode: code };
    },
    state() {
      const until = general.current()?.until;
      return {
        name: config.name,
        circuit: policies.state(),
        ...(until === undefined ? {} : { coolingDownUntil: until }),
        ...last,
      };
    },
  };
}

function logCircuitChange({ telemetry, config }: PooledEndpointOptions, state: CircuitState): void {
  const fields = { endpoint: config.name };
  if (state === 'open') telemetry.warn('model circuit opened', fields);
  else if (state === 'half-open') telemetry.info('model circuit half-open', fields);
  else telemetry.info('model circuit closed', fields);
}

/** A period without calls to an endpoint, and the error code that calls get meanwhile. */
export interface Cooldown {
  /** Milliseconds since the epoch. */
  readonly until: number;
  readonly code: ErrorCode;
  /** Whether the endpoint set the time in a rate limit header. */
  readonly fromRetryAfter: boolean;
}

/** Longest cooldown, and longest Retry-After that callers get, in milliseconds. */
export const MAX_COOLDOWN_MS = 300_000;

/** The cooldown of one endpoint for one priority. */
export interface CooldownTimer {
  current(): Cooldown | undefined;
  /** Of two cooldowns the one that ends later applies. */
  extend(next: Cooldown): void;
}

export function createCooldownTimer(clock: Clock): CooldownTimer {
  let cooldown: Cooldown | undefined;
  function current(): Cooldown | undefined {
    const now = clock.now();
    // A cooldown further ahead than the longest one means that the clock was set back.
    if (cooldown && (cooldown.until <= now || cooldown.until > now + MAX_COOLDOWN_MS)) {
      cooldown = undefined;
    }
    return cooldown;
  }
  return {
    current,
    extend(next) {
      cooldown = laterCooldown(current(), next);
    },
  };
}

export function laterCooldown(
  one: Cooldown | undefined,
  other: Cooldown | undefined,
): Cooldown | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return other.until > one.until ? other : one;
}
