import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import * as z from 'zod';
import { runScript } from '../support/run-script.ts';
import { startFakeGitHub, type FakeGitHub } from './support/fake-github.ts';

const SHA = 'b'.repeat(40);
const GOOD_RUN = {
  head_repository: { full_name: 'team/agent' },
  head_branch: 'main',
  head_sha: SHA,
  path: '.github/workflows/azure-dev.yml',
  event: 'push',
  conclusion: 'success',
};

const RUN_PATH = '/repos/team/agent/actions/runs/123';

function startGitHub(run: Readonly<Record<string, unknown>>, comparison = 'behind') {
  return startFakeGitHub({
    [RUN_PATH]: run,
    [`/repos/team/agent/compare/main...${SHA}`]: { status: comparison },
  });
}

async function checkRollback(github: FakeGitHub, id = '123') {
  const env = {
    GITHUB_API_URL: github.url,
    GITHUB_REPOSITORY: 'team/agent',
    GITHUB_TOKEN: 'a-token',
    ROLLBACK_RUN: id,
  };
  const script = runScript(resolve('infra/hooks/check-rollback.js'), { env });
  const { code } = await script.ended;
  return { code, out: script.stdout(), err: script.stderr() };
}

describe('a rollback', () => {
  it.each(['push', 'workflow_dispatch'])(
    'is accepted to a good run of main, started by %s',
    async (event) => {
      const github = await startGitHub({ ...GOOD_RUN, event });

      const { code, out } = await checkRollback(github);

      expect(out).toContain(`run 123 built ${SHA} of main`);
      expect(code).toBe(0);
    },
  );

  it('is accepted to the commit at the tip of main', async () => {
    const github = await startGitHub(GOOD_RUN, 'identical');

    const { code } = await checkRollback(github);

    expect(code).toBe(0);
  });

  it.each([
    [
      'a fork',
      { head_repository: { full_name: 'stranger/agent' } },
      'its repository is stranger/agent, not team/agent',
    ],
    ['a deleted fork', { head_repository: null }, 'its repository is undefined'],
    ['another branch', { head_branch: 'feature' }, 'its branch is feature, not main'],
    ['a pull request', { event: 'pull_request' }, 'its event is pull_request, not push'],
    [
      'another workflow',
      { path: '.github/workflows/ci.yml' },
      'its workflow is .github/workflows/ci.yml',
    ],
    ['a failed run', { conclusion: 'failure' }, 'its conclusion is failure, not success'],
    ['a run that is not over', { conclusion: null }, 'its conclusion is null, not success'],
  ])('is refused to a package of %s', async (...[, change, message]) => {
    const github = await startGitHub({ ...GOOD_RUN, ...change });

    const { code, err } = await checkRollback(github);

    expect(err).toContain(message);
    expect(code).toBe(1);
    expect(github.requests).toEqual(['GET /repos/team/agent/actions/runs/123']);
  });

  it.each(['ahead', 'diverged'])(
    'is refused to a commit that is %s of main',
    async (comparison) => {
      const github = await startGitHub(GOOD_RUN, comparison);

      const { code, err } = await checkRollback(github);

      expect(err).toContain(`is not on main: ${comparison}`);
      expect(code).toBe(1);
    },
  );

  it.each(['', '../../other/repo', '123;id', '0', 'latest'])(
    'is refused to what is no id of a run, before GitHub is called: "%s"',
    async (id) => {
      const github = await startGitHub(GOOD_RUN);

      const { code } = await checkRollback(github, id);

      expect(code).toBe(1);
      expect(github.requests).toEqual([]);
    },
  );

  it('is refused while GitHub does not know the run', async () => {
    const github = await startGitHub(GOOD_RUN);

    const { code, err } = await checkRollback(github, '999');

    expect(err).toContain('GitHub answered 404 to /repos/team/agent/actions/runs/999');
    expect(code).toBe(1);
  });
});

describe('the rollback workflow', () => {
  it('checks the run before anything of it is deployed, and never puts its id into a shell', () => {
    const text = readFileSync('.github/workflows/rollback.yml', 'utf8');
    const { concurrency, jobs } = z
      .object({
        concurrency: z.object({ group: z.string(), 'cancel-in-progress': z.boolean() }),
        jobs: z.object({
          check: z.object({ steps: z.array(z.object({ run: z.string().optional() })) }),
          rollback: z.object({ needs: z.string(), with: z.record(z.string(), z.string()) }),
        }),
      })
      .parse(parse(text));

    const commands = jobs.check.steps.flatMap(({ run }) => run ?? []);

    expect(commands).toEqual(['node infra/hooks/check-rollback.js']);
    expect(jobs.rollback.needs).toBe('check');
    expect(jobs.rollback.with['package_run']).toBe('${{ inputs.run }}');
    expect(concurrency['cancel-in-progress']).toBe(true);
    expect(readFileSync('.github/workflows/azure-dev.yml', 'utf8')).toContain(
      `group: ${concurrency.group}`,
    );
  });
});
