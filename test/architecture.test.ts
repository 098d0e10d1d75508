import { globSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { DOORS, violations, type SourceFile } from './support/house-rules.ts';

function readSources(): SourceFile[] {
  return globSync(['functions/**/*.ts', 'shared/**/*.ts']).map((path) => ({
    path: path.replaceAll('\\', '/'),
    text: readFileSync(path, 'utf8'),
  }));
}

function planted(path: string, text: string): string[] {
  return violations([{ path, text: `${text}\n` }]);
}

describe('the house', () => {
  it('keeps its doors, its triggers small and its environment in one place', () => {
    const sources = readSources();

    const broken = violations(sources);

    expect(broken).toEqual([]);
    expect(sources.length).toBeGreaterThan(40);
  });

  it('has a door for every room', () => {
    const rooms = new Set(
      readSources().map(({ path }) => path.split('/')[1]?.replace(/\.ts$/, '')),
    );

    const withoutFile = Object.keys(DOORS).filter(
      (room) => room !== 'functions' && !rooms.has(room),
    );

    expect(withoutFile).toEqual([]);
  });

  it('is not imported by the world around it', () => {
    const upwards = readSources().filter(({ text }) =>
      /from '(?:\.\.\/)+(?:dev|test|functions)\//.test(text),
    );

    expect(upwards.map(({ path }) => path)).toEqual([]);
  });
});

describe('the rules of the house', () => {
  it('see an import through a wall', () => {
    const broken = planted('shared/batch/x.ts', `import { respond } from '../http/responses.ts';`);

    expect(broken).toEqual(['shared/batch/x.ts may not import shared/http/responses.ts']);
  });

  it('see a wall broken by a lazy import', () => {
    const broken = planted('shared/agent/x.ts', `await import('../batch/job.ts');`);

    expect(broken).toEqual(['shared/agent/x.ts may not import shared/batch/job.ts']);
  });

  it('see an import from a floor above, and a floor that nobody planned', () => {
    const upwards = planted(
      'shared/batch/storage/x.ts',
      `import { a } from '../processing/item-retry.ts';`,
    );
    const downwards = planted(
      'shared/batch/processing/x.ts',
      `import { a } from '../storage/batch-progress.ts';`,
    );
    const unplanned = planted('shared/batch/utils/x.ts', '');

    expect(upwards).toEqual([
      'shared/batch/storage/x.ts may not import shared/batch/processing/item-retry.ts, which is above it',
    ]);
    expect(downwards).toEqual([]);
    expect(unplanned).toEqual([
      'shared/batch/utils/x.ts stands on the floor utils, which is not planned',
    ]);
  });

  it('see a trigger that imports what it should be given', () => {
    const broken = planted(
      'functions/x.ts',
      `import '../shared/model/model.ts';\napp.http('x', {});`,
    );

    expect(broken).toEqual(['functions/x.ts may not import shared/model/model.ts']);
  });

  it('see a trigger that registers twice, decides or grows', () => {
    const twice = planted('functions/x.ts', `app.http('x', {});\napp.hook.appStart(f);`);
    const decides = planted('functions/x.ts', `if (a) app.http('x', {});`);
    const grows = planted('functions/x.ts', `app.http('x', {});${'\n'.repeat(41)}`);

    expect(twice).toEqual(['functions/x.ts registers 2 times instead of once']);
    expect(decides).toEqual(['functions/x.ts decides something; a trigger has no logic']);
    expect(grows).toEqual(['functions/x.ts has 42 lines; a trigger has at most 40']);
  });

  it('see who reads the environment and which file outgrew its room', () => {
    const reads = planted('shared/agent/x.ts', `const key = process.env.KEY;`);
    const outgrown = planted('shared/agent/x.ts', '\n'.repeat(300));

    expect(reads).toEqual(['shared/agent/x.ts reads process.env; only the composition root does']);
    expect(outgrown).toEqual(['shared/agent/x.ts has 301 lines; a file has at most 300']);
  });

  it('see an import that the bundler cannot take apart', () => {
    expect(planted('shared/agent/x.ts', `import { z } from 'zod';`)).toEqual([
      "shared/agent/x.ts imports all of zod; write import * as z from 'zod'",
    ]);
    expect(planted('shared/agent/x.ts', `import * as z from 'zod';`)).toEqual([]);
  });

  it('see a room that nobody planned', () => {
    expect(planted('shared/utils/x.ts', '')).toEqual([
      'shared/utils/x.ts stands in the room utils, which has no doors',
    ]);
  });
});
