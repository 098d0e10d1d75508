import type { Clock } from '../clock.ts';
import type { ResilienceSettings } from '../resilience/retry-policy.ts';
import { createRetryBudget } from '../resilience/retry-budget.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { beginAttempt } from './begin-attempt.ts';
import { createEndpointGate, type EndpointState } from './endpoint-pool.ts';
import { completionsAddress, type ModelEndpoint } from './endpoint.ts';
import { startJourney, type JourneyContext } from './journey.ts';
import type { Model, ModelAnswer, ModelCall, ModelRequest } from './model.ts';
import { createOpenAiEndpoint } from './openai/chat-completions-client.ts';
import { traceEndpoint, type Prices } from './model-telemetry.ts';
import { traceSend } from './traced-send.ts';
import type { Transport } from './transport.ts';
import { recover } from './retry-decision.ts';
import { openResilientStream } from './resilient-model.ts';

export { DEFAULT_RESILIENCE, type ResilienceSettings } from '../resilience/retry-policy.ts';
export type { EndpointState } from './endpoint-pool.ts';

export interface ResilientModelOptions {
  /** In the order of preference: the primary first. */
  readonly endpoints: readonly ModelEndpoint[];
  readonly settings: ResilienceSettings;
  readonly clock: Clock;
  /** From 0 up to 1, as Math.random. */
  readonly random: () => number;
  /** For what happens to endpoints; what happens to a call goes to the telemetry of that call. */
  readonly telemetry: Telemetry;
  readonly transport: Transport;
  readonly prices?: Prices | undefined;
  /**
   * Re-reads the secrets after an endpoint refused them; true where a retry makes sense. Called at
   * most once per failed call and endpoint.
   */
  readonly onAuthFailure?: (endpoint: ModelEndpoint) => Promise<boolean>;
}

/** A model that outlives the faults of its endpoints as far as one call's deadline allows. */
export interface ResilientModel extends Model {
  /** For readiness: what real calls have shown so far. Never makes a call. */
  endpoints(): readonly EndpointState[];
}

/**
 * The order, from the outside in: the retry loop, which alone decides on waits and other endpoints;
 * the bulkhead, so that waiting in line costs no attempt time; the breaker, so that a call that
 * waited sees a circuit that opened meanwhile; the time limit; the call.
 */
export function createResilientModel(options: ResilientModelOptions): ResilientModel {
  const { settings, clock, telemetry, prices } = options;
  const { maxBodyBytes, maxLineBytes } = settings;
  const gates = options.endpoints.map((endpoint) => {
    const address = completionsAddress(endpoint);
    const send = traceSend(options.transport.to(address), { endpoint, address, telemetry });
    const plain = createOpenAiEndpoint(endpoint, { maxBodyBytes, maxLineBytes, clock, send });
    const client = traceEndpoint(plain, { endpoint, telemetry, prices });
    return createEndpointGate({ endpoint, client, settings, clock, telemetry });
  });
  const context: JourneyContext = {
    gates,
    settings,
    clock,
    budget: createRetryBudget({ ratio: settings.retryBudgetRatio, clock }),
    random: options.random,
    onAuthFailure: options.onAuthFailure,
  };
  return {
    complete: (request, call) => completeResiliently(context, { request, call }),
    stream: (request, call) => openResilientStream(context, { request, call }),
    endpoints: () => gates.map((gate) => gate.state()),
  };
}

interface Asked {
  readonly request: ModelRequest;
  readonly call: ModelCall;
}

async function completeResiliently(
  context: JourneyContext,
  { request, call }: Asked,
): Promise<ModelAnswer> {
  const journey = startJourney(context, call);
  for (;;) {
    const attempt = await beginAttempt(journey);
    const { gate, signal, watchdog } = attempt;
    try {
      watchdog.begin(context.settings.attemptTimeoutMs);
      const answer = await gate.client.complete(request, { signal, traceparent: call.traceparent });
      attempt.succeed();
      return answer;
    } catch (thrown) {
      await recover(journey, { attempt, thrown });
    }
  }
}
