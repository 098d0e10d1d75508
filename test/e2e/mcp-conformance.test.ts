import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PROJECT_ROOT } from '../../dev/project-root.ts';
import { startEnvironment, type TestEnvironment } from './support/start-environment.ts';

const SUITE = join(PROJECT_ROOT, 'node_modules/@modelcontextprotocol/conformance/dist/index.js');
const LOOPBACK = join(PROJECT_ROOT, 'test/support/mcp/listen-on-loopback.ts');
const CLIENT = `${process.execPath} ${join(PROJECT_ROOT, 'test/support/mcp/conformance-client.ts')}`;
const ESCAPES = new RegExp(`${String.fromCodePoint(27)}\\[[0-9;]*m`, 'g');

/** The scenarios of one side in docs/mcp.md, with what happens to each. */
function documented(side: 'server' | 'client'): Record<string, string> {
  const text = readFileSync(join(PROJECT_ROOT, 'docs/mcp.md'), 'utf8');
  const rows = text.matchAll(/^\| `([\w/-]+)` \| (server|client) \| ([^|]+) \|$/gm);
  return Object.fromEntries(
    [...rows].filter(([, , of]) => of === side).map(([, name = '', , what = '']) => [name, what]),
  );
}

let folder: string;
let environment: TestEnvironment;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'conformance-'));
  environment = await startEnvironment();
});
afterAll(async () => {
  await environment.stop();
  await rm(folder, { recursive: true });
});

/** Runs the suite in a folder of its own, and returns what it prints. */
async function runSuite(args: readonly string[]): Promise<string> {
  const all = ['--import', LOOPBACK, SUITE, ...args];
  const { promise, resolve } = Promise.withResolvers<string>();
  // Scenarios that do not apply fail, so the exit code says nothing.
  execFile(process.execPath, all, { cwd: folder, timeout: 60_000 }, (_error, stdout, stderr) =>
    resolve((stdout + stderr).replaceAll(ESCAPES, '')),
  );
  return promise;
}

describe('the conformance suite of the protocol', () => {
  it('passes for every server scenario that applies, and knows no other scenario', async () => {
    const output = await runSuite(['server', '--url', `${environment.url}/mcp`, '--suite', 'all']);

    const results = [...output.matchAll(/^[✓✗] ([\w-]+): (\d+) passed, (\d+) failed$/gmu)];
    const nameOf = ([, name = '']: RegExpExecArray): string => name;
    const passed = results
      .filter(([, , successes, failures]) => Number(successes) > 0 && failures === '0')
      .map(nameOf);
    const rows = documented('server');
    expect(results.map(nameOf).toSorted()).toEqual(Object.keys(rows).toSorted());
    expect(passed.toSorted()).toEqual(
      Object.keys(rows)
        .filter((name) => rows[name] === 'passed')
        .toSorted(),
    );
  });

  // One scenario measures when the client comes back, to 200 ms; a busy machine needs longer.
  it.each(
    Object.keys(documented('client')).filter((name) => documented('client')[name] === 'passed'),
  )('passes for the client scenario %s', { retry: 2 }, async (scenario) => {
    const output = await runSuite(['client', '--command', CLIENT, '--scenario', scenario]);

    expect(output).toMatch(/Passed: (\d+)\/\1, 0 failed, 0 warnings/);
  });
});
