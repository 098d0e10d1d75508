import { describe, expect, it } from 'vitest';
import { requestIdOf } from '../../../shared/http/request-context.ts';

describe('requestIdOf', () => {
  it.each(['a', 'req-1', '0f8fad5b-d9cb-469f-a165-70867728950e', 'A.b:c_d', 'x'.repeat(128)])(
    'keeps the harmless %s',
    (id) => {
      expect(requestIdOf(id)).toBe(id);
    },
  );

  it.each([
    '',
    ' a',
    '-a',
    'a b',
    'a\r\nset-cookie: x=1',
    'a\n',
    'a\0',
    'ä',
    'a\u202eb',
    '../../etc/passwd',
    '<script>',
    '"',
    'x'.repeat(129),
    'one, two',
  ])('replaces %j', (id) => {
    expect(requestIdOf(id)).toMatch(/^[0-9a-f]{8}-[0-9a-f-]{27}$/);
  });
});
