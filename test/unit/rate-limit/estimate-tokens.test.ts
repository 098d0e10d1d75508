import { describe, expect, it } from 'vitest';
import { estimateTokens } from '../../../shared/rate-limit/reservation.ts';

describe('the estimate of tokens', () => {
  it('counts every text and the bound of the answer', () => {
    const texts = ['x'.repeat(400), 'y'.repeat(40)];

    expect(estimateTokens({ texts, maxOutputTokens: 500 })).toBe(110 + 8 + 500);
  });

  it('counts each image', () => {
    const none = estimateTokens({ texts: ['x'], maxOutputTokens: 0 });
    const two = estimateTokens({ texts: ['x'], images: 2, maxOutputTokens: 0 });

    expect(two).toBe(none + 3_200);
  });

  it('counts scripts with few characters to a token for more than Latin ones', () => {
    const latin = estimateTokens({ texts: ['a'.repeat(100)], maxOutputTokens: 0 });
    const chinese = estimateTokens({ texts: ['好'.repeat(100)], maxOutputTokens: 0 });

    expect(chinese).toBeGreaterThan(2 * latin);
  });
});
