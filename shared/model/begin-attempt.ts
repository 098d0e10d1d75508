import { stretchedDelayMs } from '../resilience/backoff.ts';
import { reasonOf, waitFor } from '../resilience/waiting.ts';
import { startAttempt, type Attempt } from './attempt.ts';
import { explainBlocked } from './final-error.ts';
import {
  chooseGate,
  findSoonestRested,
  fitsDeadline,
  type Journey,
  type RestingGate,
} from './journey.ts';

/** The next attempt of a call; throws at once where no endpoint can be had soon. */
export async function beginAttempt(journey: Journey): Promise<Attempt> {
  const { context, call } = journey;
  if (journey.attempts === 0) context.budget.deposit();
  for (;;) {
    if (call.signal.aborted) throw reasonOf(call.signal);
    const resting = findSoonestRested(journey);
    const gate = chooseGate(journey);
    if (gate === undefined) {
      await waitForRested(journey, resting);
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
async function waitForRested(journey: Journey, resting: RestingGate | undefined): Promise<void> {
  const { context, call } = journey;
  if (resting === undefined) throw explainBlocked(journey);
  const restMs = resting.coolDown.until - context.clock.now();
  const delayMs = stretchedDelayMs(Math.max(0, restMs), context.random);
  const isTooLong = restMs > context.settings.backoffMaxMs || !fitsDeadline(journey, delayMs);
  // Background work that waited here would be first when the rest is over, before people.
  if (isTooLong || call.isBackground === true) {
    throw explainBlocked(journey);
  }
  await waitFor(delayMs, call.signal);
}
