import { describe, expect, it } from 'vitest';
import { createModelUnderTest, failureOf } from '../support/model-under-test.ts';
import { inTurn, refuse, say, startScriptedUpstream } from '../support/scripted-upstream.ts';

/** Advances by a millisecond at each read, so that a cooldown can end between two reads. */
function advancingClock() {
  let time = Date.parse('2030-01-01T00:00:00Z');
  return {
    now: () => (time += 1),
    set(to: number) {
      time = to;
    },
  };
}

const READS = Array.from({ length: 16 }, (_, read) => read);

describe('a cooldown that ends while a call chooses an endpoint', () => {
  it.each(READS)('does not fail the call, %i reads of the clock before its end', async (reads) => {
    await using upstream = await startScriptedUpstream(
      inTurn(refuse(429, {}, { 'retry-after': '90' }), say('hello')),
    );
    const clock = advancingClock();
    const { complete, model } = createModelUnderTest({ endpoints: [upstream.baseUrl], clock });
    const deadlineAt = clock.now() + 60_000;
    await failureOf(complete({ deadlineAt }));
    const cooldownUntil = model.endpoints()[0]?.coolingDownUntil ?? 0;

    clock.set(cooldownUntil - reads);
    const { text } = await complete({ deadlineAt: cooldownUntil + 60_000 });

    expect(text).toBe('hello');
  });

  it.each(READS)('does not end a call that is being retried, after %i ms', async (cooldownMs) => {
    await using upstream = await startScriptedUpstream(inTurn(refuse(429), say('hello')));
    const clock = advancingClock();
    const { complete } = createModelUnderTest({
      endpoints: [upstream.baseUrl],
      clock,
      random: () => 0,
      settings: { backoffInitialMs: 10 * cooldownMs, backoffMaxMs: 10 * cooldownMs },
    });

    const { text } = await complete({ deadlineAt: clock.now() + 60_000 });

    expect(text).toBe('hello');
  });
});
