import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

/** Every box of the checklists that this service was measured against. */
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

/** What stands in backticks and looks like a file of this repository. */
function pathsIn(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)]
    .map(([, name = '']) => name)
    .filter((name) =>
      /^[.\w/-]+\.(?:ts|js|md|bicep|kql|yml|json|toml)$|^\.|^(?:Dockerfile|LICENSE)$/.test(name),
    );
}

describe('docs/checklist.md', () => {
  it('answers each box once, in one of four ways', () => {
    const rows = readRows();

    expect(rows.map(({ number }) => number)).toEqual(
      Array.from({ length: BOXES }, (_, index) => index + 1),
    );
    expect(rows.filter(({ state }) => !STATES.has(state))).toEqual([]);
  });

  it('names only files that are there', () => {
    const missing = readRows().flatMap(({ where }) =>
      pathsIn(where).filter((path) => !existsSync(path)),
    );

    expect(missing).toEqual([]);
  });

  it('gives a place for all that is said to be true', () => {
    const bare = readRows().filter(
      ({ state, where }) => state === 'yes' && pathsIn(where).length === 0 && !where.includes('`'),
    );

    expect(bare).toEqual([]);
  });
});
