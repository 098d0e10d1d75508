import { createCaller } from './call.js';
import { delay, required, seconds, setting } from './terminal.js';

/** Fewer chats show nothing of a share of one in a hundred. */
const MIN_CHATS = 20;

/**
 * Chats through the address that users call, for some time; counts the failures. Ends early once the
 * share of failures cannot become small enough in the rest of the time.
 */
export async function observeTraffic({ forMs }) {
  const caller = createCaller(required('FRONT_DOOR_URL'), setting('SMOKE_FUNCTION_KEY') ?? '');
  const everyMs = seconds('OBSERVE_EVERY_SECONDS', 0.5) * 1000;
  const startedAt = Date.now();
  const deadline = startedAt + forMs;
  const seen = { total: 0, failed: 0, failures: new Map(), durationsMs: [] };
  do {
    const startedAt = performance.now();
    const failure = await chat(caller);
    seen.total += 1;
    seen.durationsMs.push(performance.now() - startedAt);
    if (failure !== undefined) {
      seen.failed += 1;
      seen.failures.set(failure, (seen.failures.get(failure) ?? 0) + 1);
    }
    await delay(everyMs);
  } while (Date.now() < deadline && !isLost(seen, forMs / (Date.now() - startedAt)));
  return seen;
}

/** Whether the share is exceeded even if no further chat fails; `scale` is whole time to past time. */
function isLost({ total, failed }, scale) {
  return total >= MIN_CHATS && isRed({ total: total * Math.max(1, scale), failed });
}

/** What failed; undefined after an answer. */
async function chat(caller) {
  try {
    const message = `Repeat this id: ${crypto.randomUUID()}`;
    const response = await caller.post(
      '/api/chat',
      { message },
      { headers: { 'cache-control': 'no-store' } },
    );
    return response.status === 200 ? undefined : String(response.status);
  } catch {
    return 'no answer';
  }
}

/** Failures in words, such as: 3 of 40 chats failed (503 3 times). */
export function describeTraffic({ total, failed, failures }) {
  if (failed === 0) return `${total} chats answered`;
  const list = [...failures].map(([failure, count]) => `${failure} ${count} times`).join(', ');
  return `${failed} of ${total} chats failed (${list})`;
}

/** Whether more chats failed than the share allows. */
export function isRed({ total, failed }) {
  return failed / total > seconds('MAX_FAILED_PERCENT', 1) / 100;
}
