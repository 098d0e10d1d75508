import type { Attempt } from './attempt.ts';
import { type ModelCallContext, type ModelCallState, startModelCall } from './model-call.ts';
import type { ModelCall, ModelEvent, ModelRequest } from './model.ts';
import type { EndpointEvent } from './openai/read-stream.ts';
import { failStartedStream, logAttempt, withRetries } from './retry-loop.ts';
import { interruptedResponse } from './upstream-error.ts';
import { abortReason, linkController } from '../resilience/abort.ts';
import type { ResilienceSettings } from '../resilience/retry-policy.ts';

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
