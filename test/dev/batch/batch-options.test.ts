import { describe, expect, it } from 'vitest';
import { readBatchOptions } from '../../../dev/batch/batch-options.ts';

describe('readBatchOptions', () => {
  it('names results and job by itself when only the input is given', () => {
    const options = readBatchOptions(['in/items.jsonl']);

    expect(options).toMatchObject({ input: 'in/items.jsonl', out: 'in/items.results.jsonl' });
    expect(options.jobId).toMatch(/^job-\d{14}-[0-9a-f]{6}$/);
    expect(options.jobId).not.toBe(readBatchOptions(['in/items.jsonl']).jobId);
  });

  it('takes what is given', () => {
    const argv = [
      'items',
      '--out',
      'o.jsonl',
      '--job',
      'nightly-7',
      '--url',
      'http://a:1',
      '--key',
      'k',
    ];

    expect(readBatchOptions(argv)).toEqual({
      input: 'items',
      out: 'o.jsonl',
      jobId: 'nightly-7',
      resumes: true,
      url: 'http://a:1',
      key: 'k',
    });
  });

  it.each([
    ['no input', [], /one input file must be named; usage: /],
    ['two inputs', ['a', 'b'], /one input file must be named/],
    ['an unknown flag', ['a', '--fast'], /Unknown option '--fast'; usage: /],
    ['a bad job id', ['a', '--job', '../x'], /'--job' must be/],
    ['no address', ['a', '--url', 'ftp://x'], /'--url' must be an http/],
  ])('refuses %s in one line', (_case, argv, message) => {
    expect(() => readBatchOptions(argv)).toThrow(message);
    expect(() => readBatchOptions(argv)).not.toThrow(/\n/);
  });
});
