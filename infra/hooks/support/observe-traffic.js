import { createCaller } from './call.js';
import { delay, required, seconds, setting } from './terminal.js';

/** Chats through the address that users call, for some time; counts the failures. */
export async function observeTraffic({ forMs, everyMs = 500 }) {
  const caller = createCaller(required('FRONT_DOOR_URL'), setting('SMOKE_FUNCTION_KEY') ?? '');
  const deadline = Date.now() + forMs;
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
  } while (Date.now() < deadline);
  return seen;
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
