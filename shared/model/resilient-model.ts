import { reasonOf } from '../resilience/waiting.ts';
import type { Attempt } from './attempt.ts';
import { beginAttempt } from './begin-attempt.ts';
import { startJourney, type JourneyContext } from './journey.ts';
import type { ModelCall, ModelEvent, ModelRequest } from './model.ts';
import { endShownAnswer, recover } from './retry-decision.ts';

interface Asked {
  readonly request: ModelRequest;
  readonly call: ModelCall;
}

/**
 * A stream that may be left at any time. A plain generator would not do: `return()` on it waits
 * for a `next()` under way, and that one may wait for an upstream that says nothing.
 */
export function openResilientStream(
  context: JourneyContext,
  { request, call }: Asked,
): AsyncIterable<ModelEvent> {
  return {
    [Symbol.asyncIterator]() {
      const own = new AbortController();
      function leave(): void {
        own.abort(reasonOf(call.signal));
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
            if (own.signal.reason instanceof StreamLeft) return { done: true, value: undefined };
            throw thrown;
          }
        },
        async return() {
          stopListening();
          own.abort(new StreamLeft('The reader has left the stream'));
          await inner.return().catch(() => undefined);
          return { done: true, value: undefined };
        },
      };
    },
  };
}

class StreamLeft extends Error {}

async function* streamResiliently(
  context: JourneyContext,
  { request, call }: Asked,
): AsyncGenerator<ModelEvent, void> {
  const journey = startJourney(context, call);
  for (;;) {
    const attempt = await beginAttempt(journey);
    let isShown = false;
    try {
      for await (const event of readAttempt(attempt, { context, request, call })) {
        isShown = true;
        yield event;
        if (call.signal.aborted) throw reasonOf(call.signal);
      }
      return;
    } catch (thrown) {
      if (isShown) throw endShownAnswer(journey, { attempt, thrown });
      await recover(journey, { attempt, thrown });
    } finally {
      attempt.close();
    }
  }
}

interface Reading extends Asked {
  readonly context: JourneyContext;
}

/** The visible events of one attempt, with its time limits running only while it is waited for. */
async function* readAttempt(
  attempt: Attempt,
  { context, request, call }: Reading,
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
