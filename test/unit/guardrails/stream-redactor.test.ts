import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PiiType } from '../../../shared/guardrails/personal-data.ts';
import { createRedaction } from '../../../shared/guardrails/redaction.ts';
import {
  createStreamRedactor,
  MAX_BUFFERED_CHARS,
} from '../../../shared/guardrails/stream-redactor.ts';

const ALL: readonly PiiType[] = ['EMAIL', 'PHONE', 'CREDIT_CARD', 'SSN', 'IBAN', 'IP'];

/** What a client has received after each delta, and at the end. */
function stream(deltas: readonly string[]): string[] {
  const redactor = createStreamRedactor(createRedaction({ types: ALL }));
  const sent: string[] = [];
  for (const delta of deltas) sent.push(redactor.push(delta));
  sent.push(redactor.end());
  return sent;
}

function cut(text: string, positions: readonly number[]): string[] {
  const places = [...new Set(positions.map((one) => one % (text.length + 1)))].sort(
    (a, b) => a - b,
  );
  return [0, ...places].map((start, index) => text.slice(start, places[index] ?? text.length));
}

const value = fc.constantFrom(
  '4111 1111 1111 1111',
  '4111111111111111',
  '3782-822463-10005',
  'ana.lee@mail.example.org',
  'DE89 3704 0044 0532 0130 00',
  'gb82west12345698765432',
  '219-09-9998',
  '203.0.113.7',
  '2001:db8::7',
  '+44 20 7946 0958',
  '(212) 555-0187 ext. 12',
  'call 781 5990',
  '082 173 2759 mobile',
);
const filler = fc.constantFrom(
  'Order 2024-000123 is version 1.2.3, ',
  'The total is 42 for 3 items. ',
  'see https://example.org/a/b?c=1 and ',
  '请看下面的内容。',
  'a@b c ',
  '\n\n- ',
  'well ',
);
const text = fc
  .array(fc.oneof(value, filler), { minLength: 1, maxLength: 12 })
  .map((parts) => parts.join(' '));

describe('createStreamRedactor', () => {
  it('never sends a card number that is split over three deltas', () => {
    const sent = stream(['Your card 4111 11', '11 1111', ' 1111 is valid until May.']);

    expect(sent.join('')).toBe('Your card [CREDIT_CARD] is valid until May.');
    expect(sent.some((part) => part.includes('4111'))).toBe(false);
  });

  it('sends an order number and a version number', () => {
    const order = 'Order 112-4557231-0091234 runs version 10.2.0.41 today, as it did before.';

    const sent = stream(cut(order, [9, 14, 20, 44, 49]));

    expect(sent.join('')).toBe(order);
  });

  it('sends words without digits as soon as the next word begins', () => {
    const redactor = createStreamRedactor(createRedaction({ types: ALL }));

    expect(redactor.push('Hello wor')).toBe('Hello ');
    expect(redactor.push('ld, how')).toBe('world, ');
    expect(redactor.end()).toBe('how');
  });

  it('sends the same as for the whole text, however it is cut', () => {
    fc.assert(
      fc.property(text, fc.array(fc.nat(), { maxLength: 30 }), (whole, positions) => {
        const expected = createRedaction({ types: ALL }).redact(whole);

        expect(stream(cut(whole, positions)).join('')).toBe(expected);
      }),
      { numRuns: 400 },
    );
  });

  it('sends the same for single characters', () => {
    fc.assert(
      fc.property(text, (whole) => {
        const expected = createRedaction({ types: ALL }).redact(whole);

        expect(stream(whole.split('')).join('')).toBe(expected);
      }),
      { numRuns: 100 },
    );
  });

  it.each(['a', '1 ', '1', '@', 'a@b.', '4111 ', '🙂', ' '])(
    'holds back no more than its bound of "%s"',
    (unit) => {
      const redactor = createStreamRedactor(createRedaction({ types: ALL }));
      let pushed = 0;
      let sent = 0;

      for (let index = 0; index < 2000; index += 1) {
        pushed += unit.length;
        sent += redactor.push(unit).length;
      }

      expect(pushed - sent).toBeLessThanOrEqual(MAX_BUFFERED_CHARS);
    },
  );
});

describe('createRedaction', () => {
  it('replaces only the types that it should', () => {
    const redaction = createRedaction({ types: ['EMAIL'] });

    const safe = redaction.redact('ana@example.org from 203.0.113.7');

    expect(safe).toBe('[EMAIL] from 203.0.113.7');
    expect([...redaction.found]).toEqual(['EMAIL']);
  });

  it('numbers the values and puts them back into the arguments of a tool', () => {
    const redaction = createRedaction({ types: ALL, isReversible: true });

    const safe = redaction.redact('ana@example.org, bo@example.org, ana@example.org');
    const restored = redaction.restore('{"to":"[EMAIL_2]","cc":"[EMAIL_1]","bcc":"[EMAIL_9]"}');

    expect(safe).toBe('[EMAIL_1], [EMAIL_2], [EMAIL_1]');
    expect(JSON.parse(restored)).toEqual({
      to: 'bo@example.org',
      cc: 'ana@example.org',
      bcc: '[EMAIL_9]',
    });
  });
});
