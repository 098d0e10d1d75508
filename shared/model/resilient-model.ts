import type { Clock } from '../clock.ts';
import { createPooledEndpoint, type EndpointState } from './endpoint-pool.ts';
import type { ModelEndpoint } from './endpoint.ts';
import type { HttpClient } from './http-client.ts';
import { type ModelCallContext, startModelCall } from './model-call.ts';
import { type Prices, tracedEndpointClient, tracedHttpClient } from './model-telemetry.ts';
import type { Model, ModelCall, ModelRequest, ModelResponse } from './model.ts';
import type { EndpointClient } from './openai/chat-completions-client.ts';
import { createStreamIterator } from './resilient-stream.ts';
import { logAttempt, withRetries } from './retry-loop.ts';
import { createRetryBudget, type ResilienceSettings } from '../resilience/retry-policy.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

export { DEFAULT_RESILIENCE, type ResilienceSettings } from '../resilience/retry-policy.ts';
export type { EndpointState } from './endpoint-pool.ts';

export interface ResilientModelOptions {
  /** In the order of preference: the primary first. */
  readonly endpoints: readonly ModelEndpoint[];
  readonly settings: ResilienceSettings;
  readonly clock: Clock;
  /** Returns a number from 0 up to 1, as Math.random does. */
  readonly random: () => number;
  /** For events of endpoints; events of a call go to the telemetry of that call. */
  readonly telemetry: Telemetry;
  readonly httpClient: HttpClient;
  readonly prices?: Prices | undefined;
  /**
   * Re-reads the secrets after an endpoint rejected them; true where a retry makes sense. Called at
   * most once for each failed call and endpoint.
   */
  readonly onAuthFailure?: (endpoint: ModelEndpoint) => Promise<boolean>;
}

/** A model that survives failures of its endpoints within the deadline of a call. */
export interface ResilientModel extends Model {
  /** What real calls have shown, for readiness. Never makes a call. */
  endpoints(): readonly EndpointState[];
}

/**
 * The order, from the outside in: the retry loop, which alone decides on waits and other endpoints;
 * the bulkhead, so that queueing costs no attempt time; the circuit breaker, so that a queued call
 * sees a circuit that opened meanwhile; the time limit; the call.
 */
export function createResilientModel(options: ResilientModelOptions): ResilientModel {
  const { settings, clock, telemetry } = options;
  const endpoints = options.endpoints.map((config) =>
    createPooledEndpoint({
      config,
      loadClient: lazyClient(config, options),
      settings,
      clock,
      telemetry,
    }),
  );
  const context: ModelCallContext = {
    endpoints,
    settings,
    clock,
    budget: createRetryBudget({ ratio: settings.retryBudgetRatio, clock }),
    random: options.random,
    onAuthFailure: options.onAuthFailure,
  };
  return {
    complete: (request, call) => completeResiliently(context, { request, call }),
    stream: (request, call) => ({
      [Symbol.asyncIterator]: () => createStreamIterator(context, { request, call }),
    }),
    endpoints: () => endpoints.map((endpoint) => endpoint.state()),
  };
}

/** Loads the official client with the first call, so that the app starts without it. */
function lazyClient(
  endpoint: ModelEndpoint,
  { settings, clock, telemetry, prices, httpClient }: ResilientModelOptions,
): () => Promise<EndpointClient> {
  let client: Promise<EndpointClient> | undefined;
  async function load(): Promise<EndpointClient> {
    const { createChatCompletionsClient } = await import('./openai/chat-completions-client.ts');
    const { maxBodyBytes, maxLineBytes } = settings;
    const plain = createChatCompletionsClient(endpoint, {
      maxBodyBytes,
      maxLineBytes,
      clock,
      telemetry,
      httpClient: tracedHttpClient(httpClient, { endpoint, telemetry }),
    });
    return tracedEndpointClient(plain, { endpoint, telemetry, prices });
  }
  return () =>
    (client ??= load().catch((thrown: unknown) => {
      client = undefined;
      throw thrown;
    }));
}

interface ModelCallInput {
  readonly request: ModelRequest;
  readonly call: ModelCall;
}

function completeResiliently(
  context: ModelCallContext,
  { request, call }: ModelCallInput,
): Promise<ModelResponse> {
  const state = startModelCall(context, call);
  return withRetries(state, async (attempt) => {
    const { endpoint, signal, idleTimer } = attempt;
    const client = await endpoint.loadClient();
    idleTimer.start(context.settings.attemptTimeoutMs);
    const { traceparent, onPartialUsage } = call;
    const response = await client.complete(request, { signal, traceparent, onPartialUsage });
    attempt.succeed();
    logAttempt(state, { attempt, outcome: 'ok' });
    return response;
  });
}
