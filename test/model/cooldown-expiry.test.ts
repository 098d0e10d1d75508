import { describe, expect, it } from 'vitest';
import { createModelUnderTest, failureOf } from '../support/model-under-test.ts';
import { inTurn, refuse, say, startScriptedUpstream } from '../support/scripted-upstream.ts';

/** Advances by a millisecond at each read, so that time passes between two reads. */
function restlessClock() {
  let time = Date.parse('2030-01-01T00:00:00Z');
  return {
    now: () => (time += 1),
    set(to: number) {
      time = to;
    },
  };
}

const LOOKS = Array.from({ length: 16 }, (_, look) => look);

describe('a rest that ends while a call looks for an endpoint', () => {
  it.each(LOOKS)('is no reason to refuse the call, %i looks before its end', async (looks) => {
    await using upstream = await startScriptedUpstream(
      inTurn(refuse(429, {}, { 'retry-after': '90' }), say('hello')),
    );
    const clock = restlessClock();
    const { complete, model } = createModelUnderTest({ endpoints: [upstream.baseUrl], clock });
    const deadlineAt = clock.now() + 60_000;
    await failureOf(complete({ deadlineAt }));
    const restsUntil = model.endpoints()[0]?.coolingDownUntil ?? 0;

    clock.set(restsUntil - looks);
    const { text } = await complete({ deadlineAt: restsUntil + 60_000 });

    expect(text).toBe('hello');
  });

  it.each(LOOKS)('is no reason to give up a call that was refused, after %i ms', async (restMs) => {
    await using upstream = await startScriptedUpstream(inTurn(refuse(429), say('hello')));
    const clock = restlessClock();
    const { complete } = createModelUnderTest({
      endpoints: [upstream.baseUrl],
      clock,
      random: () => 0,
      settings: { backoffInitialMs: 10 * restMs, backoffMaxMs: 10 * restMs },
    });

    const { text } = await complete({ deadlineAt: clock.now() + 60_000 });

    expect(text).toBe('hello');
  });
});
