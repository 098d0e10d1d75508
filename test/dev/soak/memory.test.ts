import { describe, expect, it } from 'vitest';
import { memoryFigures } from '../../../dev/soak/memory.ts';

const LIVE = { before: 40 * 1_048_576, after: 41 * 1_048_576 };

/** Ten minutes of samples, with a collection of garbage every 40 s, that grow by so much a minute. */
function samplesWith(mbPerMinute: number) {
  return Array.from({ length: 600 }, (_, second) => ({
    minutes: second / 60,
    mb: 300 + (second % 40) + (second / 60) * mbPerMinute,
  }));
}

describe('the memory of a soak', () => {
  it.each([0, 0.5, 3])('grows by %d MB a minute, whatever is collected between', (mbPerMinute) => {
    const { perMinute } = memoryFigures(samplesWith(mbPerMinute), LIVE);

    expect(perMinute).toBeCloseTo(mbPerMinute, 0);
  });

  it('does not count what grows in the warm-up', () => {
    const samples = samplesWith(0).map(({ minutes, mb }) => ({
      minutes,
      mb: minutes < 3 ? mb - (3 - minutes) * 50 : mb,
    }));

    const figures = memoryFigures(samples, LIVE);

    expect(figures.perMinute).toBeCloseTo(0, 0);
    expect(figures).toMatchObject({ liveBefore: 40, liveAfter: 41 });
  });
});
