import { describe, expect, it } from 'vitest';
import { formatHeading, formatMarkdown, formatRow, formatTable } from '../../dev/table.ts';

describe('a table for a terminal', () => {
  it('has columns as wide as their longest cell, numbers to the right', () => {
    const columns = [{ heading: 'file' }, { heading: 'lines', align: 'right' }] as const;

    const table = formatTable(columns, [
      ['a.ts', '7'],
      ['longer.ts', '120'],
    ]);

    expect(table.split('\n')).toEqual([
      'file       lines',
      '----------------',
      'a.ts           7',
      'longer.ts    120',
    ]);
  });

  it('cuts cells that are longer than the width of their column', () => {
    const columns = [
      { heading: 'what', width: 6 },
      { heading: 'result', width: 6 },
    ];

    const row = formatRow(columns, ['something', 'pass']);

    expect(row).toBe('somet…  pass');
    expect(formatHeading(columns)).toBe('what    result\n--------------');
  });
});

describe('a Markdown table', () => {
  it('has a heading, a rule and one line for each row', () => {
    expect(formatMarkdown(['a', 'b'], [['1', '2']])).toBe('| a | b |\n| --- | --- |\n| 1 | 2 |');
  });
});
