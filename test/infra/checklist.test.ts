import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

/** The number of boxes in the production checklists. */
const BOXES = 138;
const STATES = new Set(['yes', 'another way', 'yours', 'not yet']);

interface Row {
  readonly number: number;
  readonly state: string;
  readonly where: string;
}

function readRows(): Row[] {
  const text = readFileSync('docs/checklist.md', 'utf8');
  return [...text.matchAll(/^\| (\d+) \| .+? \| (.+?) \| (.*) \|$/gm)].map(
    ([, number, state = '', where = '']) => ({ number: Number(number), state, where }),
  );
}

/** The paths of this repository in backticks. */
function pathsIn(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)]
    .map(([, name = '']) => name)
    .filter((name) =>
      /^[.\w/-]+\.(?:ts|js|md|bicep|kql|yml|json|toml)$|^\.|^(?:Dockerfile|LICENSE)$/.test(name),
    );
}

describe('docs/checklist.md', () => {
  it('gives each box one of four states, once', () => {
    const rows = readRows();

    expect(rows.map(({ number }) => number)).toEqual(
      Array.from({ length: BOXES }, (_, index) => index + 1),
    );
    expect(rows.filter(({ state }) => !STATES.has(state))).toEqual([]);
  });

  it('names only files that exist', () => {
    const missing = readRows().flatMap(({ where }) =>
      pathsIn(where).filter((path) => !existsSync(path)),
    );

    expect(missing).toEqual([]);
  });

  it('gives a place for each box with the state yes', () => {
    const bare = readRows().filter(
      ({ state, where }) => state === 'yes' && pathsIn(where).length === 0 && !where.includes('`'),
    );

    expect(bare).toEqual([]);
  });
});
