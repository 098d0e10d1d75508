import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { execFile } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runScript } from '../support/run-script.ts';
import { startFakeGitHub } from './support/fake-github.ts';

const RUNS = '/repos/team/agent/actions/workflows';
const QUERY = 'runs?branch=main&status=success&per_page=20';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'deploy-package-'));
  await writeFile(join(folder, 'values.json'), '{"SERVICE_API_URL":"http://127.0.0.1:9"}');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A program named azd whose first uploads fail; it notes its calls. */
async function installAzd(failures: number): Promise<void> {
  const script = [
    '#!/bin/sh',
    `echo "$SMOKE_SKIP $*" >>'${folder}/calls'`,
    `if [ "$1 $2" = 'env get-values' ]; then cat '${folder}/values.json'; exit 0; fi`,
    `[ "$(wc -l <'${folder}/calls')" -gt ${failures} ]`,
  ];
  await writeFile(join(folder, 'azd'), `${script.join('\n')}\n`);
  await chmod(join(folder, 'azd'), 0o755);
}

interface Outcome {
  readonly code: number;
  readonly output: string;
}

/** Runs a hook, by a shell or by Node, with the folder of a package. */
function runHook(name: string): Promise<Outcome> {
  const program = name.endsWith('.sh') ? 'sh' : process.execPath;
  const env = {
    PATH: [folder, dirname(process.execPath), process.env['PATH'] ?? ''].join(delimiter),
    UPLOAD_RETRY_SECONDS: '0',
  };
  return new Promise((settle) => {
    execFile(program, [resolve('infra/hooks', name), folder], { env }, (error, stdout, stderr) => {
      settle({ code: error === null ? 0 : Number(error.code), output: stdout + stderr });
    });
  });
}

async function addSmokeTest(script: string): Promise<void> {
  await mkdir(join(folder, 'infra/hooks'), { recursive: true });
  await writeFile(join(folder, 'infra/hooks/package.json'), '{"type":"module"}');
  await writeFile(join(folder, 'infra/hooks/smoke.js'), script);
}

describe('the upload of a package', () => {
  it('is tried again, without the smoke test', async () => {
    await installAzd(2);

    const { code } = await runHook('deploy-package.sh');

    const calls = (await readFile(join(folder, 'calls'), 'utf8')).trimEnd().split('\n');
    expect(calls).toEqual(
      Array<string>(3).fill(`true deploy api --from-package ${folder}/api.zip --no-prompt`),
    );
    expect(code).toBe(0);
  });

  it('fails after three attempts', async () => {
    await installAzd(9);

    const { code } = await runHook('deploy-package.sh');

    expect(code).toBe(1);
  });
});

describe('the smoke test of a package', () => {
  it('is the one beside the package, and expects its version', async () => {
    await installAzd(0);
    await writeFile(
      join(folder, 'build.json'),
      '{\n  "version": "1.2.3+abc",\n  "commit": "abc"\n}\n',
    );
    await addSmokeTest(
      'console.log(`tests ${process.env.SMOKE_VERSION} at ${process.env.SERVICE_API_URL}`)',
    );

    const { code, output } = await runHook('smoke-package.js');

    expect(output).toContain('tests 1.2.3+abc at http://127.0.0.1:9');
    expect(code).toBe(0);
  });

  it('gets every value of azd as it is, and no shell reads it', async () => {
    const value = `$HOME \`touch '${folder}/ran'\` $(touch '${folder}/ran') "quoted" !! \\ 'x'\nEND`;
    await installAzd(0);
    await writeFile(join(folder, 'values.json'), JSON.stringify({ EXTRA_APP_SETTINGS: value }));
    await addSmokeTest('process.stdout.write(JSON.stringify(process.env.EXTRA_APP_SETTINGS))');

    const { code, output } = await runHook('smoke-package.js');

    expect(JSON.parse(output)).toBe(value);
    expect(existsSync(join(folder, 'ran'))).toBe(false);
    expect(code).toBe(0);
  });

  it('runs once, and fails the step', async () => {
    await installAzd(0);
    await addSmokeTest("console.log('one run'); process.exitCode = 1;");

    const { code, output } = await runHook('smoke-package.js');

    expect(output.match(/one run/g)).toHaveLength(1);
    expect(code).toBe(1);
  });
});

it('no hook, workflow or document lets a shell evaluate the values of azd', () => {
  const paths = globSync(['infra/hooks/**/*.*', '.github/workflows/*', 'docs/**/*.md', '*.md']);

  const evaluating = paths.filter((path) =>
    /\beval ["$(]|^\s*(?:\.|source) +["'$<(]|bash -c|sh -c/m.test(readFileSync(path, 'utf8')),
  );

  expect(evaluating).toEqual([]);
  expect(paths.length).toBeGreaterThan(60);
});

describe('the last good package', () => {
  const here = { head_repository: { full_name: 'team/agent' } };

  async function findLastGood(deployed: readonly object[], rolledBack: readonly object[]) {
    const github = await startFakeGitHub({
      [`${RUNS}/azure-dev.yml/${QUERY}`]: { workflow_runs: deployed },
      [`${RUNS}/rollback.yml/${QUERY}`]: { workflow_runs: rolledBack },
    });
    const output = join(folder, 'output');
    await writeFile(output, '');
    const script = runScript(resolve('infra/hooks/last-good-run.js'), {
      env: {
        GITHUB_API_URL: github.url,
        GITHUB_REPOSITORY: 'team/agent',
        GITHUB_TOKEN: 'a-token',
        GITHUB_RUN_ID: '30',
        GITHUB_OUTPUT: output,
      },
    });
    const { code } = await script.ended;
    return { code, output: await readFile(output, 'utf8') };
  }

  it('is of the latest successful deployment, never of this run or of a fork', async () => {
    const stranger = { head_repository: { full_name: 'stranger/agent' } };

    const { output } = await findLastGood(
      [
        { ...here, id: 30, updated_at: '2026-01-04T00:00:00Z', display_title: 'this run' },
        { ...stranger, id: 25, updated_at: '2026-01-03T00:00:00Z', display_title: 'a fork' },
        { ...here, id: 20, updated_at: '2026-01-02T00:00:00Z', display_title: 'a commit' },
        { ...here, id: 10, updated_at: '2026-01-01T00:00:00Z', display_title: 'older' },
      ],
      [],
    );

    expect(output).toBe('run=20\n');
  });

  it('is the one that a later rollback went back to', async () => {
    const { output } = await findLastGood(
      [{ ...here, id: 20, updated_at: '2026-01-02T00:00:00Z', display_title: 'a commit' }],
      [
        {
          ...here,
          id: 21,
          updated_at: '2026-01-03T00:00:00Z',
          display_title: 'Roll back to run 10',
        },
      ],
    );

    expect(output).toBe('run=10\n');
  });

  it('does not exist before the first deployment', async () => {
    const { code, output } = await findLastGood([], []);

    expect(output).toBe('');
    expect(code).toBe(0);
  });
});
