import { assert, property, string } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { replayText } from '../../../shared/agent/cached-agent.ts';

describe('a stored response as a stream', () => {
  it('has the same text', () => {
    assert(
      property(string({ unit: 'binary', maxLength: 500 }), (text) => {
        expect([...replayText(text)].join('')).toBe(text);
      }),
    );
  });

  it('has several deltas, none of them empty', () => {
    const pieces = [...replayText('Because the night is dark and full of words. '.repeat(20))];

    expect(pieces.length).toBeGreaterThan(10);
    expect(pieces.every((piece) => piece.length > 0 && piece.length <= 60)).toBe(true);
  });

  it('never splits a character', () => {
    const pieces = [...replayText('🦊'.repeat(500))];

    expect(pieces.length).toBeGreaterThan(5);
    expect(pieces.every((piece) => piece.isWellFormed())).toBe(true);
  });

  it('is empty for an empty text', () => {
    expect([...replayText('')]).toEqual([]);
  });
});
