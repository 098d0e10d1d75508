import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { SCRIPTED_MODELS, findModel, patternOf } from '../../../dev/model/model-table.ts';
import { clientOf, ask, post, startModel } from './support.ts';

const SAMPLES: Readonly<Record<string, string>> = {
  '<text>': 'x',
  '<percent>': '50',
  '<key>': 'k',
};

function sampleName(pattern: string): string {
  return pattern
    .replace(/\[-<bytes>\]$/, '-3000')
    .replace(/\[.*\]$/, '')
    .replace(/<\w+>$/, (label) => SAMPLES[label] ?? '5');
}

describe('the table of scripted models', () => {
  it('is the table in the papers, row by row', async () => {
    const paper = await readFile('docs/development-model.md', 'utf8');

    const rows = paper.split('\n').filter((line) => line.startsWith('| `dev/'));

    const wanted = SCRIPTED_MODELS.map((row) => `| \`${patternOf(row)}\` | ${row.description} |`);
    expect(rows.map((row) => row.replaceAll(/ +/g, ' '))).toEqual(wanted);
  });

  it('is what GET /v1/models lists', async () => {
    const { data } = await clientOf(await startModel()).models.list();

    expect(data.map(({ id }) => id)).toEqual([
      'development-model',
      ...SCRIPTED_MODELS.map((row) => patternOf(row)),
    ]);
  });

  it.each(SCRIPTED_MODELS.map((row) => [sampleName(patternOf(row)), row] as const))(
    'finds %s under its own name',
    (name, row) => {
      expect(findModel(name).model).toBe(row);
    },
  );

  it('has a script behind every name, for streams and whole answers', async () => {
    const model = await startModel({ scale: 0.00001 });
    const tools = [{ type: 'function', function: { name: 'unused_tool' } }];
    const names = SCRIPTED_MODELS.map((row) => sampleName(patternOf(row)));
    const calls = names.flatMap((name) =>
      [false, true].map((stream) => ask(name, { stream, tools })),
    );

    for (const body of calls) {
      await post(model, { body })
        .then((response) => response.arrayBuffer())
        .catch(() => null);
    }

    const outcomes = model.calls().map(({ status }) => status);
    // fetch resends a request whose kept connection is reset.
    expect(outcomes.length).toBeGreaterThanOrEqual(calls.length);
    expect(new Set(outcomes)).toEqual(new Set(['answered', 'cut']));
  });
});
