import { describe, expect, it } from 'vitest';
import { createServerClock } from '../../../../shared/storage/azure/storage-timeouts.ts';

const noon = Date.parse('2030-01-01T12:00:00Z');

function setUp() {
  const clock = { ms: 50_000 };
  const time = createServerClock(() => clock.ms);
  return { clock, time, hear: (at: number) => time.observe(new Date(at)) };
}

describe('the clock of the storage server', () => {
  it('Q10: is unknown until the first response', () => {
    const { time } = setUp();
    const before = time.now();

    time.observe(undefined);
    time.observe(new Date('no date'));

    expect([before, time.now()]).toEqual([undefined, undefined]);
  });

  it('Q10: advances between two responses by the monotonic clock', () => {
    const { clock, time, hear } = setUp();
    hear(noon);

    clock.ms += 90_000;

    expect(time.now()).toBe(noon + 90_000);
  });

  it('Q10: does not go back for a date without fractions or a slow response', () => {
    const { clock, time, hear } = setUp();
    hear(noon);
    clock.ms += 900;

    hear(noon);

    expect(time.now()).toBe(noon + 900);
  });

  it('Q10: follows the server when its clock is set forward or back', () => {
    const { time, hear } = setUp();
    hear(noon);

    hear(noon + 600_000);
    const forward = time.now();
    hear(noon - 600_000);

    expect([forward, time.now()]).toEqual([noon + 600_000, noon - 600_000]);
  });
});
