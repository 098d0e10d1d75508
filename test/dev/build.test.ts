import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isBuildFresh } from '../../dev/build-freshness.ts';
import { build } from '../../dev/build.ts';
import { copyFixtureApp } from '../support/fixture-app.ts';
import { runScript } from '../support/run-script.ts';

let root: string;
let outDir: string;

beforeEach(async () => {
  root = await copyFixtureApp();
  outDir = join(root, 'dist');
});

afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

describe('build', () => {
  it('makes a package that is complete by itself', async () => {
    await build({ root });

    const names = await readdir(outDir);
    const manifest: unknown = JSON.parse(await readFile(join(outDir, 'package.json'), 'utf8'));
    expect(names.toSorted()).toEqual([
      'NOTICE',
      'build.json',
      'chunks',
      'functions',
      'host.json',
      'package.json',
      'sbom.cdx.json',
    ]);
    expect(manifest).toEqual({
      name: 'fixture-app',
      version: '1.2.3',
      type: 'module',
      main: 'functions/*.js',
    });
    expect(await readFile(join(outDir, 'host.json'), 'utf8')).toBe(
      await readFile(join(root, 'host.json'), 'utf8'),
    );
  });

  it('takes agent.toml along once there is one', async () => {
    await writeFile(join(root, 'agent.toml'), '[agent]\n');

    await build({ root });

    expect(await readFile(join(outDir, 'agent.toml'), 'utf8')).toBe('[agent]\n');
  });

  it('makes one file of all triggers and what they import, with a source map beside it', async () => {
    await build({ root });

    const chunks = await readdir(join(outDir, 'chunks'));
    const entry = await readFile(join(outDir, 'functions', 'app.js'), 'utf8');
    const eager = chunks.find((name) => name.startsWith('eager-') && name.endsWith('.js')) ?? '';
    const code = await readFile(join(outDir, 'chunks', eager), 'utf8');
    const map = await readFile(join(outDir, 'chunks', `${eager}.map`), 'utf8');
    expect(await readdir(join(outDir, 'functions'))).toEqual(['app.js']);
    expect(entry).toBe(`import"../chunks/${eager}";\n`);
    expect(code).toContain(`//# sourceMappingURL=${eager}.map`);
    for (const trigger of ['health', 'settings', 'slow']) {
      expect(map).toContain(`functions/${trigger}.ts"`);
    }
  });

  it('keeps the names of functions, so that stack traces stay readable', async () => {
    await build({ root });

    const chunk = await readChunks();
    expect(chunk).toContain('function countCall');
  });

  it('runs with no packages around, shares state between triggers, and knows its own folder', async () => {
    await build({ root });
    const elsewhere = await mkdtemp(join(tmpdir(), 'elsewhere-'));
    await cp(outDir, elsewhere, { recursive: true });

    const script = `
      await import('./functions/app.js');
      process.stdout.write(JSON.stringify(globalThis.fixture));`;
    const run = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
      cwd: elsewhere,
      env: { PATH: process.env['PATH'] ?? '' },
    });

    const seen: unknown = JSON.parse(run.stdout);
    await rm(elsewhere, { recursive: true, force: true });
    expect(run.stderr).not.toContain('Error');
    expect(seen).toEqual({ loads: 1, folder: join(elsewhere, 'chunks') });
  });

  it('shares state with what a trigger loads on demand', async () => {
    const counted = "import { countCall } from '../shared/calls.ts';\n";
    const lazy = "globalThis.lazy = import('../shared/lazy.ts');\n";
    await writeFile(join(root, 'functions', 'lazy.ts'), `${counted}countCall();\n${lazy}`);
    await writeFile(join(root, 'shared', 'lazy.ts'), `${counted}export const calls = countCall();`);
    await build({ root });

    const script = `await import(${JSON.stringify(join(outDir, 'functions', 'app.js'))});
      process.stdout.write(String((await globalThis.lazy).calls));`;
    const run = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);

    expect(run.stdout).toBe('2');
  });

  it('drops what an earlier build left behind', async () => {
    await build({ root });
    await writeFile(join(outDir, 'functions', 'gone.js'), 'throw new Error("stale")');

    await build({ root });

    expect(await readdir(join(outDir, 'functions'))).not.toContain('gone.js');
    expect((await readdir(root)).filter((name) => name.startsWith('dist'))).toEqual(['dist']);
  });

  it('removes what a killed build left half done, and leaves a running one alone', async () => {
    const gone = runScript('--version');
    await gone.ended;
    await mkdir(join(root, `dist.new-${gone.pid}`, 'functions'), { recursive: true });
    await mkdir(join(root, `dist.new-${process.ppid}`));

    await build({ root });

    const names = (await readdir(root)).filter((name) => name.startsWith('dist'));
    expect(names.toSorted()).toEqual(['dist', `dist.new-${process.ppid}`]);
  });

  it('ends well when several builds meet', async () => {
    const script = join(import.meta.dirname, 'fixtures', 'run-build.ts');

    const runs = [1, 2, 3].map(() => runScript(script, { args: [root] }));
    const ended = await Promise.all(runs.map((run) => run.ended));

    expect(ended.map(({ code }) => code)).toEqual([0, 0, 0]);
    expect(await readdir(outDir)).toContain('host.json');
  });

  it('names file and line of a mistake, and leaves the last good build in place', async () => {
    await build({ root });
    await writeFile(join(root, 'functions', 'health.ts'), '\nimport "./nowhere.ts";\n');

    const failing = build({ root });

    await expect(failing).rejects.toThrow(/^Cannot build: functions\/health\.ts:2: Could not/);
    expect(await readdir(outDir)).toContain('host.json');
    expect((await readdir(root)).filter((name) => name.startsWith('dist'))).toEqual(['dist']);
  });

  it('refuses an app without a trigger', async () => {
    await rm(join(root, 'functions'), { recursive: true });

    await expect(build({ root })).rejects.toThrow("'functions/' must hold at least one trigger");
  });
});

describe('isBuildFresh', () => {
  it('is false before the first build and true after it', async () => {
    const before = await isBuildFresh({ root, outDir });

    await build({ root });

    expect(before).toBe(false);
    expect(await isBuildFresh({ root, outDir })).toBe(true);
  });

  it.each(['functions/health.ts', 'shared/calls.ts', 'host.json', 'package.json'])(
    'is false once %s is newer',
    async (path) => {
      await build({ root });
      const later = new Date(Date.now() + 60_000);

      await utimes(join(root, path), later, later);

      expect(await isBuildFresh({ root, outDir })).toBe(false);
    },
  );

  it('is false once a trigger was deleted', async () => {
    await build({ root });
    const inputs = ['functions', 'shared', 'host.json', 'package.json', 'package-lock.json'];
    const files = [
      'functions/health.ts',
      'functions/settings.ts',
      'functions/slow.ts',
      'shared/calls.ts',
    ];
    await Promise.all([...inputs, ...files].map((path) => setAge(join(root, path), 60)));
    await setAge(join(outDir, 'package.json'), 30);
    const before = await isBuildFresh({ root, outDir });

    await rm(join(root, 'functions', 'settings.ts'));

    expect(before).toBe(true);
    expect(await isBuildFresh({ root, outDir })).toBe(false);
  });
});

async function readChunks(): Promise<string> {
  const names = await readdir(join(outDir, 'chunks'));
  const code = names.filter((name) => name.endsWith('.js'));
  const texts = await Promise.all(
    code.map((name) => readFile(join(outDir, 'chunks', name), 'utf8')),
  );
  return texts.join('\n');
}

async function setAge(path: string, seconds: number): Promise<void> {
  const time = new Date(Date.now() - seconds * 1_000);
  await utimes(path, time, time);
}
