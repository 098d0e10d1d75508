import type { ModelCall, ModelEndpoint } from './model.ts';
import type { EndpointClient } from './openai/chat-completions-client.ts';
import { timedOutResponse, toUpstreamFailure, type UpstreamFailure } from './upstream-error.ts';
import type { Clock } from '../clock.ts';
import type { ErrorCode } from '../errors.ts';
import { abortReason, createIdleTimer, type IdleTimer } from '../resilience/abort.ts';
import {
  type CallOutcome,
  type CallSlot,
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

/** One call to one endpoint. It keeps its slot in the policies until it is closed. */
export interface Attempt {
  readonly endpoint: PooledEndpoint;
  /** Aborts when the client disconnects or the attempt times out. */
  readonly signal: AbortSignal;
  readonly idleTimer: IdleTimer;
  durationMs(): number;
  /** Records that the endpoint is alive before its response is complete. */
  progress(): void;
  succeed(): void;
  /** Records the failure and closes the attempt. */
  fail(thrown: unknown): UpstreamFailure;
  /** Closes the attempt without an outcome. The first of `succeed`, `fail` and `close` counts. */
  close(): void;
}

export interface AttemptOptions {
  readonly endpoint: PooledEndpoint;
  readonly slot: CallSlot;
  /** Aborts when the client disconnects. */
  readonly callerSignal: AbortSignal;
}

export function startAttempt({ endpoint, slot, callerSignal }: AttemptOptions): Attempt {
  const startedAt = performance.now();
  const controller = new AbortController();
  const idleTimer = createIdleTimer(() =>
    controller.abort(timedOutResponse('The time limit has passed')),
  );
  let isOpen = true;
  let hasAnswered = false;

  function finish(outcome: CallOutcome, { isAborted }: { readonly isAborted: boolean }): void {
    if (!isOpen) return;
    isOpen = false;
    callerSignal.removeEventListener('abort', abort);
    idleTimer.dispose();
    slot.end(outcome);
    if (isAborted) controller.abort(new Error('The call has ended'));
  }
  function close(): void {
    finish('unknown', { isAborted: true });
  }
  // The caller may never read its stream again, so the abort itself must free the slot.
  function abort(): void {
    controller.abort(abortReason(callerSignal));
    close();
  }
  callerSignal.addEventListener('abort', abort, { once: true });

  return {
    endpoint,
    signal: controller.signal,
    idleTimer,
    durationMs: () => performance.now() - startedAt,
    progress() {
      hasAnswered = true;
      slot.progress();
    },
    succeed() {
      endpoint.recordSuccess();
      finish('healthy', { isAborted: false });
    },
    fail(thrown) {
      const failure = idleTimer.timedOut()
        ? timedOutResponse('The time limit of the attempt has passed')
        : toUpstreamFailure(thrown);
      if (failure.retryMode !== 'none' && failure.retryMode !== 'immediate') {
        endpoint.recordFailure(failure);
      }
      const outcome = isEndpointFailure(failure, hasAnswered) ? 'failing' : 'unknown';
      finish(outcome, { isAborted: true });
      return failure;
    },
    close,
  };
}

/** A stream that breaks after its first token does not count: short responses still arrive. */
function isEndpointFailure(failure: UpstreamFailure, hasAnswered: boolean): boolean {
  return failure.countsAsFailure && !(hasAnswered && failure.code === 'upstream_interrupted');
}
