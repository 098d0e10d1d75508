import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { resolve } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parse } from 'yaml';
import * as z from 'zod';
import { runScript } from '../support/run-script.ts';

const SHA = 'b'.repeat(40);
const GOOD_RUN = {
  head_repository: { full_name: 'team/agent' },
  head_branch: 'main',
  head_sha: SHA,
  path: '.github/workflows/deploy.yml',
  event: 'push',
  conclusion: 'success',
};

interface FakeGitHub {
  readonly url: string;
  readonly requests: readonly string[];
}

/** GitHub's API on loopback: one run, and how its commit relates to main. */
async function startFakeGitHub(options: {
  readonly run: Readonly<Record<string, unknown>>;
  readonly comparison?: string;
}): Promise<FakeGitHub> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    const bodies = new Map<string, unknown>([
      ['/repos/team/agent/actions/runs/123', options.run],
      [`/repos/team/agent/compare/main...${SHA}`, { status: options.comparison ?? 'behind' }],
    ]);
    const isAuthorized = request.headers.authorization === 'Bearer a-token';
    const body = isAuthorized ? bodies.get(request.url ?? '') : undefined;
    response.writeHead(body === undefined ? 404 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body ?? {}));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  return { url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`, requests };
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
      const github = await startFakeGitHub({ run: { ...GOOD_RUN, event } });

      const { code, out } = await checkRollback(github);

      expect(out).toContain(`run 123 built ${SHA} of main`);
      expect(code).toBe(0);
    },
  );

  it('is accepted to the commit at the tip of main', async () => {
    const github = await startFakeGitHub({ run: GOOD_RUN, comparison: 'identical' });

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
    const github = await startFakeGitHub({ run: { ...GOOD_RUN, ...change } });

    const { code, err } = await checkRollback(github);

    expect(err).toContain(message);
    expect(code).toBe(1);
    expect(github.requests).toEqual(['GET /repos/team/agent/actions/runs/123']);
  });

  it.each(['ahead', 'diverged'])(
    'is refused to a commit that is %s of main',
    async (comparison) => {
      const github = await startFakeGitHub({ run: GOOD_RUN, comparison });

      const { code, err } = await checkRollback(github);

      expect(err).toContain(`is not on main: ${comparison}`);
      expect(code).toBe(1);
    },
  );

  it.each(['', '../../other/repo', '123;id', '0', 'latest'])(
    'is refused to what is no id of a run, before GitHub is called: "%s"',
    async (id) => {
      const github = await startFakeGitHub({ run: GOOD_RUN });

      const { code } = await checkRollback(github, id);

      expect(code).toBe(1);
      expect(github.requests).toEqual([]);
    },
  );

  it('is refused while GitHub does not know the run', async () => {
    const github = await startFakeGitHub({ run: GOOD_RUN });

    const { code, err } = await checkRollback(github, '999');

    expect(err).toContain('GitHub answered 404 to /repos/team/agent/actions/runs/999');
    expect(code).toBe(1);
  });
});

describe('the deployment', () => {
  it('checks the run of a rollback before it downloads the package, and never puts its id into a shell', () => {
    const { jobs } = z
      .object({
        jobs: z.object({
          deploy: z.object({
            steps: z.array(
              z.object({
                run: z.string().optional(),
                uses: z.string().optional(),
                if: z.string().optional(),
              }),
            ),
          }),
        }),
      })
      .parse(parse(readFileSync('.github/workflows/deploy.yml', 'utf8')));

    const { steps } = jobs.deploy;
    const check = steps.findIndex(({ run }) => run === 'node infra/hooks/check-rollback.js');
    const download = steps.findIndex(({ uses }) => uses?.startsWith('actions/download-artifact@'));
    expect(check).toBeGreaterThan(-1);
    expect(check).toBeLessThan(download);
    expect(steps[check]?.if).toBe('${{ inputs.rollback_run }}');
    expect(steps.filter(({ run }) => run?.includes('${{'))).toEqual([]);
  });
});
