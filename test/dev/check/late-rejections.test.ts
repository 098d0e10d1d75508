import { globSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { findLateRejections } from '../../support/late-rejections.ts';

function check(body: string): string[] {
  return findLateRejections({ path: 'x.test.ts', text: `it('x', async () => {\n${body}\n});` });
}

describe('a promise that a test expects to reject', () => {
  it('is expected before anything else is awaited, in every test', () => {
    const files = globSync('test/**/*.test.ts')
      .map((path) => ({ path, text: readFileSync(path, 'utf8') }))
      .filter(({ text }) => text.includes('.rejects'));

    const found = files.flatMap(findLateRejections);

    expect(found).toEqual([]);
    expect(files.length).toBeGreaterThan(20);
  });

  it.each([
    ['const a = run();\nawait other();\nawait expect(a).rejects.toThrow();', ['a']],
    [
      'const a = run();\nconst b = run();\nawait expect(a).rejects.toThrow();\nawait expect(b).rejects.toThrow();',
      ['b'],
    ],
    [
      'const [a, b] = all();\nawait expect(a).rejects.toThrow();\nawait expect(b).rejects.toThrow();',
      ['b'],
    ],
  ])('is found where it is not: %j', (body, names) => {
    const found = check(body);

    expect(found.map((line) => line.split(' ')[1])).toEqual(names);
  });

  it.each([
    'const a = run();\nawait expect(a).rejects.toThrow();\nawait expect(a).rejects.toThrow();',
    'const a = expect(run()).rejects.toThrow();\nawait other();\nawait a;',
    'const a = run();\nabort();\nawait expect(a).rejects.toThrow();',
    'const a = run();\na.catch(ignore);\nawait other();\nawait expect(a).rejects.toThrow();',
    'const a = run(async () => await other());\nawait expect(a).rejects.toThrow();',
  ])('is not found where it is: %j', (body) => {
    expect(check(body)).toEqual([]);
  });
});
