import { parsePhoneNumberFromString } from 'libphonenumber-js/min';
import { describe, expect, it } from 'vitest';
import { createRandom } from '../../../dev/guardrails/grammar.ts';
import { detectPii } from '../../../shared/guardrails/personal-data.ts';
import { MAX_LINEAR_GROWTH, measureGrowth } from '../../support/measure-growth.ts';

/** What was found, as `TYPE value`. */
function found(text: string): string[] {
  return detectPii(text).map(({ type, start, end }) => `${type} ${text.slice(start, end)}`);
}

describe('detectPii', () => {
  it.each([
    ['write to kim.lee+shop@mail.example.co.uk, please', 'EMAIL kim.lee+shop@mail.example.co.uk'],
    ['(ana@example.org)', 'EMAIL ana@example.org'],
    ['邮箱是kim@example.com谢谢', 'EMAIL kim@example.com'],
    ['my card is 4111 1111 1111 1111 ok', 'CREDIT_CARD 4111 1111 1111 1111'],
    ['4111-1111-1111-1111', 'CREDIT_CARD 4111-1111-1111-1111'],
    ['3782 822463 10005', 'CREDIT_CARD 3782 822463 10005'],
    ['４１１１１１１１１１１１１１１１', 'CREDIT_CARD ４１１１１１１１１１１１１１１１'],
    ['4111\u200B1111\u200B1111\u200B1111', 'CREDIT_CARD 4111\u200B1111\u200B1111\u200B1111'],
    ['ssn 219-09-9998', 'SSN 219-09-9998'],
    ['social security number: 219099998', 'SSN 219099998'],
    ['IBAN DE89 3704 0044 0532 0130 00.', 'IBAN DE89 3704 0044 0532 0130 00'],
    ['pay to gb82west12345698765432', 'IBAN gb82west12345698765432'],
    ['from 203.0.113.7:443', 'IP 203.0.113.7'],
    ['route 10.1.0.0/16 is down', 'IP 10.1.0.0/16'],
    ['host [2001:db8::7]:443', 'IP 2001:db8::7'],
    ['fe80::2%eth1 answered', 'IP fe80::2%eth1'],
    ['+44 20 7946 0958', 'PHONE +44 20 7946 0958'],
    ['0049 30 901820', 'PHONE 0049 30 901820'],
    ['(212) 555-0187 ext. 12', 'PHONE (212) 555-0187 ext. 12'],
    ['ring me on 781 5990', 'PHONE 781 5990'],
    ['Telefon: 089 / 636 480 18', 'PHONE 089 / 636 480 18'],
    ['请拨打212-555-0187我在', 'PHONE 212-555-0187'],
    ['2125550187', 'PHONE 2125550187'],
  ])('finds personal data in "%s"', (text, expected) => {
    expect(found(text)).toEqual([expected]);
  });

  it.each([
    ['an order number', 'Your order number 4111111111111112 has shipped'],
    ['an order number with hyphens', 'Order 112-4557231-0091234 arrives on Friday'],
    ['an id beside a word that says so', 'ticket 2025550143 is closed'],
    ['a version', 'Upgrade to version 10.2.0.41 or v1.2.3.4'],
    ['an object id', 'snmp 1.3.6.1.4.1.311'],
    ['a date and a time', '2024-04-12 04:04, 03/27/2011, 12.04.2024 0930'],
    ['a time in seconds', 'created 1731000000'],
    ['a price', 'it costs $415-666-7777 or 1,200,300.50'],
    ['a MAC address', 'aa:bb:cc:dd:ee:ff'],
    ['a name in C++', 'std::cout << a::b'],
    ['a package', 'npm i left-pad@1.3.0 @scope/name@2.0.1'],
    ['a decimal fraction', '0.4111111111111111'],
    ['a UUID', '3f2504e0-4f89-41d3-9a0c-0305e82c3301'],
    ['scores', '68-70-69=207, 1979-2011, 3 2 1 0 4 5 6'],
    ['an IBAN with wrong check digits', 'DE88 3704 0044 0532 0130 00'],
    ['an address with a part above 255', '256.1.1.1'],
  ])('leaves %s alone', (_, text) => {
    expect(found(text)).toEqual([]);
  });

  it('gives offsets in UTF-16 units, in order and without overlaps', () => {
    const text = '😀 a@example.org, 4111111111111111 and +1 212 555 0187 😀';

    const spans = detectPii(text);

    expect(spans.map(({ type }) => type)).toEqual(['EMAIL', 'CREDIT_CARD', 'PHONE']);
    expect(text.slice(spans[1]?.start, spans[1]?.end)).toBe('4111111111111111');
  });

  it('agrees with libphonenumber about international numbers', () => {
    const random = createRandom(3);
    const numbers = Array.from({ length: 3000 }, () => {
      const digits = Array.from({ length: 8 + Math.floor(random() * 7) }, () =>
        Math.floor(random() * 10),
      );
      return `+${digits.join('').replace(/^0/, '4')}`;
    });

    const different = numbers.filter((number) => {
      const theirs = parsePhoneNumberFromString(number)?.isValid() ?? false;
      return theirs && !found(`tel ${number}.`).includes(`PHONE ${number}`);
    });

    expect(different.length).toBeLessThan(10);
  });

  it.each([
    ['at signs', '@'],
    ['addresses', 'a@b.'],
    ['digits', '1'],
    ['single digits', '1 '],
    ['groups of digits', '123-456-7890 '],
    ['cards', '4111 1111 1111 1112 '],
    ['account numbers', 'GB12 '],
    ['colons', 'abcd:'],
    ['numbers with dots', '1.'],
    ['pluses', '+1 '],
    ['brackets', '(1) '],
    ['words and digits', 'call 1234567 '],
  ])('takes linear time on %s', (_, unit) => {
    const growth = measureGrowth((length) => {
      const text = unit.repeat(length / unit.length);
      return () => detectPii(text);
    });

    expect(growth).toBeLessThan(MAX_LINEAR_GROWTH);
  });
});
