import type { Clock } from '../clock.ts';
import { type Attempt, startAttempt } from './attempt.ts';
import {
  chooseEndpoint,
  createPooledEndpoint,
  type EndpointState,
  findSoonestAvailable,
  fitsDeadline,
  type ModelCallState,
  type ModelCallContext,
  type CoolingEndpoint,
  startModelCall,
} from './endpoint-pool.ts';
import { completionsAddress, type ModelEndpoint } from './endpoint.ts';
import type { HttpClient } from './http-client.ts';
import { type Prices, tracedEndpointClient, tracedPost } from './model-telemetry.ts';
import type { Model, ModelResponse, ModelCall, ModelEvent, ModelRequest } from './model.ts';
import { createChatCompletionsClient } from './openai/chat-completions-client.ts';
import { failStartedStream, noEndpointAvailable, recoverFromFailure } from './retry-decision.ts';
import { abortReason, delay } from '../resilience/abort.ts';
import {
  createRetryBudget,
  type ResilienceSettings,
  withJitter,
} from '../resilience/retry-policy.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

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
  readonly transport: HttpClient;
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
    const send = tracedPost(options.transport.to(address), { endpoint, address, telemetry });
    const plain = createChatCompletionsClient(endpoint, {
      maxBodyBytes,
      maxLineBytes,
      clock,
      send,
    });
    const client = tracedEndpointClient(plain, { endpoint, telemetry, prices });
    return createPooledEndpoint({ endpoint, client, settings, clock, telemetry });
  });
  const context: ModelCallContext = {
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

interface ModelCallInput {
  readonly request: ModelRequest;
  readonly call: ModelCall;
}

async function completeResiliently(
  context: ModelCallContext,
  { request, call }: ModelCallInput,
): Promise<ModelResponse> {
  const journey = startModelCall(context, call);
  for (;;) {
    const attempt = await startNextAttempt(journey);
    const { gate, signal, watchdog } = attempt;
    try {
      watchdog.begin(context.settings.attemptTimeoutMs);
      const answer = await gate.client.complete(request, { signal, traceparent: call.traceparent });
      attempt.succeed();
      return answer;
    } catch (thrown) {
      await recoverFromFailure(journey, { attempt, thrown });
    }
  }
}

interface AttemptInput {
  readonly request: ModelRequest;
  readonly call: ModelCall;
}

/**
 * A stream that may be left at any time. A plain generator would not do: `return()` on it waits
 * for a `next()` under way, and that one may wait for an upstream that says nothing.
 */
export function openResilientStream(
  context: ModelCallContext,
  { request, call }: AttemptInput,
): AsyncIterable<ModelEvent> {
  return {
    [Symbol.asyncIterator]() {
      const own = new AbortController();
      function leave(): void {
        own.abort(abortReason(call.signal));
      }
      function stopListening(): void {
        call.signal.removeEventListener('abort', leave);
      }
      if (call.signal.aborted) leave();
      else call.signal.addEventListener('abort', leave, { once: true });
      const inner = streamResiliently(context, { request, call: { ...call, signal: own.signal } });
      return {
        async next() {
          try {
            const step = await inner.next();
            if (step.done || step.value.type === 'answer') stopListening();
            return step;
          } catch (thrown) {
            stopListening();
            if (own.signal.reason instanceof StreamClosedByReader)
              return { done: true, value: undefined };
            throw thrown;
          }
        },
        async return() {
          stopListening();
          own.abort(new StreamClosedByReader('The reader has left the stream'));
          await inner.return().catch(() => undefined);
          return { done: true, value: undefined };
        },
      };
    },
  };
}

class StreamClosedByReader extends Error {}

async function* streamResiliently(
  context: ModelCallContext,
  { request, call }: AttemptInput,
): AsyncGenerator<ModelEvent, void> {
  const journey = startModelCall(context, call);
  for (;;) {
    const attempt = await startNextAttempt(journey);
    let isShown = false;
    try {
      for await (const event of readAttempt(attempt, { context, request, call })) {
        isShown = true;
        yield event;
        if (call.signal.aborted) throw abortReason(call.signal);
      }
      return;
    } catch (thrown) {
      if (isShown) throw failStartedStream(journey, { attempt, thrown });
      await recoverFromFailure(journey, { attempt, thrown });
    } finally {
      attempt.close();
    }
  }
}

interface ReadAttemptOptions extends AttemptInput {
  readonly context: ModelCallContext;
}

/** The visible events of one attempt, with its time limits running only while it is waited for. */
async function* readAttempt(
  attempt: Attempt,
  { context, request, call }: ReadAttemptOptions,
): AsyncGenerator<ModelEvent, void> {
  const { firstTokenTimeoutMs, idleTimeoutMs } = context.settings;
  const { gate, signal, watchdog } = attempt;
  const events = gate.client.stream(request, { signal, traceparent: call.traceparent });
  watchdog.begin(firstTokenTimeoutMs);
  for await (const event of events) {
    if (event.type === 'progress') {
      attempt.progress();
      watchdog.begin(idleTimeoutMs);
      continue;
    }
    watchdog.end();
    if (event.type === 'answer') {
      attempt.succeed();
      yield event;
      return;
    }
    attempt.progress();
    yield event;
    watchdog.begin(idleTimeoutMs);
  }
}

/** The next attempt of a call; throws at once where no endpoint can be had soon. */
export async function startNextAttempt(journey: ModelCallState): Promise<Attempt> {
  const { context, call } = journey;
  if (journey.attempts === 0) context.budget.deposit();
  for (;;) {
    if (call.signal.aborted) throw abortReason(call.signal);
    const resting = findSoonestAvailable(journey);
    const gate = chooseEndpoint(journey);
    if (gate === undefined) {
      await waitForCooldown(journey, resting);
      continue;
    }
    const attempt = await startAttempt(gate, call.signal);
    if (attempt === undefined) continue;
    journey.preferred = undefined;
    journey.tried.add(gate);
    journey.attempts += 1;
    return attempt;
  }
}

/**
 * An endpoint that rests no longer than a back-off would last is waited for: the caller is served
 * where it would otherwise come back. For everything longer the caller decides.
 */
async function waitForCooldown(
  journey: ModelCallState,
  resting: CoolingEndpoint | undefined,
): Promise<void> {
  const { context, call } = journey;
  if (resting === undefined) throw noEndpointAvailable(journey);
  const restMs = resting.coolDown.until - context.clock.now();
  const delayMs = withJitter(Math.max(0, restMs), context.random);
  const isTooLong = restMs > context.settings.backoffMaxMs || !fitsDeadline(journey, delayMs);
  // Background work that waited here would be first when the rest is over, before people.
  if (isTooLong || call.isBackground === true) {
    throw noEndpointAvailable(journey);
  }
  await delay(delayMs, call.signal);
}
