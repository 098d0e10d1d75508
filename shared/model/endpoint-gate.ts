import type { Clock } from '../clock.ts';
import type { ErrorCode } from '../errors.ts';
import { createBulkhead, type Bulkhead } from '../resilience/bulkhead.ts';
import {
  createCircuitBreaker,
  type CircuitBreaker,
  type CircuitState,
} from '../resilience/circuit-breaker.ts';
import type { ResilienceSettings } from '../resilience/resilience-settings.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import type { ModelEndpoint } from './endpoint.ts';
import type { EndpointClient } from './openai-endpoint.ts';
import type { UpstreamFailure } from './upstream-failure.ts';

/** What readiness shows of an endpoint, known from real calls only. Times since the epoch. */
export interface EndpointState {
  readonly name: string;
  readonly circuit: CircuitState;
  readonly coolingDownUntil?: number;
  readonly lastSuccessAt?: number;
  readonly lastFailureAt?: number;
  readonly lastFailureCode?: ErrorCode;
}

/** An endpoint may ask for a rest; that lasts until a time and answers with a code meanwhile. */
export interface CoolDown {
  readonly until: number;
  readonly code: ErrorCode;
  /** Whether the upstream named the time itself. */
  readonly isNamed: boolean;
}

/** What stands between a call and one endpoint, shared by all calls of the process. */
export interface EndpointGate {
  readonly endpoint: ModelEndpoint;
  readonly client: EndpointClient;
  readonly bulkhead: Bulkhead;
  readonly breaker: CircuitBreaker;
  isReady(): boolean;
  coolDown(): CoolDown | undefined;
  rest(coolDown: CoolDown): void;
  noteSuccess(): void;
  noteFailure(failure: UpstreamFailure): void;
  state(): EndpointState;
}

export interface EndpointGateOptions {
  readonly endpoint: ModelEndpoint;
  readonly client: EndpointClient;
  readonly settings: ResilienceSettings;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/** The longest rest that is taken, and the longest wait that is passed on to callers. */
export const MAX_COOL_DOWN_MS = 300_000;

export function createEndpointGate(options: EndpointGateOptions): EndpointGate {
  const { endpoint, settings, clock } = options;
  const bulkhead = createBulkhead({
    maxConcurrent: settings.maxConcurrentPerEndpoint,
    maxQueued: settings.maxQueuedPerEndpoint,
  });
  const breaker = createCircuitBreaker({
    failures: settings.breakerFailures,
    windowSize: settings.breakerWindowSize,
    halfOpenAfterMs: settings.halfOpenAfterMs,
    clock,
    onChange: (state) => tellChange(options, state),
  });
  let cooling: CoolDown | undefined;
  let last: Omit<EndpointState, 'name' | 'circuit' | 'coolingDownUntil'> = {};

  function coolDown(): CoolDown | undefined {
    const now = clock.now();
    // Over, or further away than any rest can be: then the clock was set back.
    if (cooling && (cooling.until <= now || cooling.until > now + MAX_COOL_DOWN_MS)) {
      cooling = undefined;
    }
    return cooling;
  }

  return {
    endpoint,
    client: options.client,
    bulkhead,
    breaker,
    isReady: () => coolDown() === undefined && breaker.mayEnter() && bulkhead.hasRoom(),
    coolDown,
    rest(next) {
      if (next.until > (coolDown()?.until ?? 0)) cooling = next;
    },
    noteSuccess() {
      last = { ...last, lastSuccessAt: clock.now() };
    },
    noteFailure({ code }) {
      last = { ...last, lastFailureAt: clock.now(), lastFailureCode: code };
    },
    state() {
      const until = coolDown()?.until;
      return {
        name: endpoint.name,
        circuit: breaker.state(),
        ...(until === undefined ? {} : { coolingDownUntil: until }),
        ...last,
      };
    },
  };
}

function tellChange({ telemetry, endpoint }: EndpointGateOptions, state: CircuitState): void {
  const fields = { endpoint: endpoint.name };
  if (state === 'open') telemetry.warn('model circuit opened', fields);
  else if (state === 'half-open') telemetry.info('model circuit half-open', fields);
  else telemetry.info('model circuit closed', fields);
}
