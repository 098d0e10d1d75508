import type { Clock } from '../clock.ts';
import type { ErrorCode } from '../errors.ts';
import { createBulkhead, type Bulkhead } from '../resilience/bulkhead.ts';
import {
  createCircuitBreaker,
  type CircuitBreaker,
  type CircuitState,
} from '../resilience/circuit-breaker.ts';
import type { ResilienceSettings } from '../resilience/retry-policy.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { createCoolDown, laterOf, type CoolDown } from './cool-down.ts';
import type { ModelEndpoint } from './endpoint.ts';
import type { ModelCall } from './model.ts';
import type { EndpointClient } from './openai/chat-completions-client.ts';
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

/** Who asks, as far as it matters to a gate. */
export type Asker = Pick<ModelCall, 'isBackground'>;

/** What stands between a call and one endpoint, shared by all calls of the process. */
export interface EndpointGate {
  readonly endpoint: ModelEndpoint;
  readonly client: EndpointClient;
  readonly bulkhead: Bulkhead;
  readonly breaker: CircuitBreaker;
  isReady(call: Asker): boolean;
  /** The rest that this caller must keep. */
  coolDown(call: Asker): CoolDown | undefined;
  /**
   * A rate limit that background work has met is for background work: it asks for more at once than
   * people do, so for them there may be room. Every other rest is for everybody.
   */
  rest(coolDown: CoolDown, call: Asker): void;
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
  const forEverybody = createCoolDown(clock);
  const forBackground = createCoolDown(clock);
  let last: Omit<EndpointState, 'name' | 'circuit' | 'coolingDownUntil'> = {};

  function coolDown({ isBackground = false }: Asker): CoolDown | undefined {
    const general = forEverybody.current();
    return isBackground ? laterOf(general, forBackground.current()) : general;
  }

  return {
    endpoint,
    client: options.client,
    bulkhead,
    breaker,
    isReady: (call) => coolDown(call) === undefined && breaker.mayEnter() && bulkhead.hasRoom(),
    coolDown,
    rest(next, { isBackground = false }) {
      const isItsOwn = isBackground && next.code === 'upstream_rate_limited';
      (isItsOwn ? forBackground : forEverybody).take(next);
    },
    noteSuccess() {
      last = { ...last, lastSuccessAt: clock.now() };
    },
    noteFailure({ code }) {
      last = { ...last, lastFailureAt: clock.now(), lastFailureCode: code };
    },
    state() {
      const until = forEverybody.current()?.until;
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
