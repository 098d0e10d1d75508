import { type Attempt, createPooledEndpoint, type EndpointState } from './endpoint-pool.ts';
import type { HttpClient } from './http-client.ts';
import { type ModelCallContext, type ModelCallState, startModelCall } from './model-call.ts';
import { type Prices, tracedEndpointClient, tracedHttpClient } from './model-telemetry.ts';
import type {
  Model,
  ModelCall,
  ModelEndpoint,
  ModelEvent,
  ModelRequest,
  ModelResponse,
} from './model.ts';
import type { EndpointClient } from './openai/chat-completions-client.ts';
import type { EndpointEvent } from './openai/read-stream.ts';
import { failStartedStream, logAttempt, withRetries } from './retry-loop.ts';
import { interruptedResponse } from './upstream-error.ts';
import type { Clock } from '../clock.ts';
import { abortReason, linkController } from '../resilience/abort.ts';
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

export interface StreamInput {
  readonly request: ModelRequest;
  readonly call: ModelCall;
}

/** An attempt whose first visible event has arrived. */
interface StartedStream {
  readonly attempt: Attempt;
  readonly events: AsyncIterator<EndpointEvent, void>;
}

class StreamClosedByReader extends Error {}

/**
 * The events of a stream. The retry loop covers everything up to the first visible event. Written
 * as an iterator rather than as an async generator, because `return()` of a generator waits for a
 * `next()` in progress, and that may wait for an endpoint that sends nothing.
 */
export function createStreamIterator(
  context: ModelCallContext,
  { request, call }: StreamInput,
): AsyncIterator<ModelEvent, undefined> {
  const reader = linkController(call.signal);
  const { signal } = reader.controller;
  const state = startModelCall(context, { ...call, signal });
  let stream: StartedStream | undefined;
  let isOver = false;

  async function readNext(): Promise<ModelEvent> {
    if (signal.aborted) throw abortReason(signal);
    if (stream !== undefined) {
      stream.attempt.idleTimer.start(context.settings.idleTimeoutMs);
      return readVisibleEvent(stream, context.settings);
    }
    const started = await startStream(state, request);
    stream = started;
    return started.first;
  }

  function finish(outcome?: 'ok' | 'aborted'): void {
    isOver = true;
    reader.unlink();
    if (stream === undefined) return;
    if (outcome !== undefined) logAttempt(state, { attempt: stream.attempt, outcome });
    stream.attempt.close();
  }

  return {
    async next() {
      if (isOver) return { done: true, value: undefined };
      try {
        const event = await readNext();
        if (event.type === 'done') finish('ok');
        return { done: false, value: event };
      } catch (thrown) {
        if (signal.reason instanceof StreamClosedByReader) return { done: true, value: undefined };
        const error = stream && failStartedStream(state, { attempt: stream.attempt, thrown });
        finish();
        throw error ?? thrown;
      }
    },
    async return() {
      if (!isOver) {
        reader.controller.abort(new StreamClosedByReader('The reader closed the stream'));
        finish('aborted');
      }
      return { done: true, value: undefined };
    },
  };
}

async function startStream(
  state: ModelCallState,
  request: ModelRequest,
): Promise<StartedStream & { readonly first: ModelEvent }> {
  const { settings } = state.context;
  const { traceparent, onPartialUsage } = state.call;
  return withRetries(state, async (attempt) => {
    const client = await attempt.endpoint.loadClient();
    attempt.idleTimer.start(settings.firstTokenTimeoutMs);
    const events = client.stream(request, {
      signal: attempt.signal,
      traceparent,
      onPartialUsage,
    });
    const first = await readVisibleEvent({ attempt, events }, settings);
    return { attempt, events, first };
  });
}

/**
 * The next event that callers see. The idle timer runs only while this waits: a slow reader costs
 * the endpoint nothing.
 */
async function readVisibleEvent(
  { attempt, events }: StartedStream,
  { idleTimeoutMs }: ResilienceSettings,
): Promise<ModelEvent> {
  for (;;) {
    const { done, value } = await events.next();
    if (done === true) throw interruptedResponse('The stream ended without a finish reason');
    if (value.type === 'done') {
      attempt.succeed();
      return value;
    }
    attempt.progress();
    if (value.type === 'text-delta') {
      attempt.idleTimer.pause();
      return value;
    }
    attempt.idleTimer.start(idleTimeoutMs);
  }
}
