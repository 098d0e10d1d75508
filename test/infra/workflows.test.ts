import { globSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import {
  carelessJobs,
  createWorkflowLint,
  unpinnedActions,
  type LintWorkflow,
} from './support/check-workflows.ts';

const FILES = globSync('.github/workflows/*.yml').toSorted();

let lint: LintWorkflow;
beforeAll(async () => {
  lint = await createWorkflowLint();
});

function read(path: string): string {
  return readFileSync(path, 'utf8');
}

describe('the workflows', () => {
  it('are the tests, the container image, deployment, rollback and the check of the templates', () => {
    expect(FILES.map((path) => path.split('/').at(-1))).toEqual([
      'azure-dev.yml',
      'ci.yml',
      'codeql.yml',
      'container.yml',
      'deploy-package.yml',
      'infra.yml',
      'rollback.yml',
    ]);
  });

  it.each(FILES)('%s is valid for GitHub', (path) => {
    expect(lint(read(path), path)).toEqual([]);
  });

  it.each(FILES)('%s pins every action to a commit', (path) => {
    expect(read(path)).toContain('uses:');
    expect(unpinnedActions(read(path))).toEqual([]);
  });

  it.each(FILES)('%s has minimal permissions and a time limit', (path) => {
    expect(carelessJobs(read(path))).toEqual([]);
  });

  it('run the same command as a laptop', () => {
    expect(read('.github/workflows/ci.yml')).toContain('run: .ci/run');
  });

  it('deploy exactly the bytes that were tested and audited, and keep them', () => {
    const ci = read('.github/workflows/ci.yml');
    const deploy = read('.github/workflows/deploy-package.yml');
    const upload = read('infra/hooks/deploy-package.sh');

    for (const step of ['npm audit --omit=dev', 'dist/sbom.cdx.json', 'sha256sum api.zip']) {
      expect(ci).toContain(step);
    }
    expect(ci).toContain('-le 3145728');
    expect(ci).toContain('retention-days: 90');
    expect(read('.github/workflows/azure-dev.yml')).toContain('uses: ./.github/workflows/ci.yml');
    expect(deploy).toContain('sha256sum --check');
    expect(upload).toContain('azd deploy api --from-package "$folder/api.zip"');
    expect(deploy).not.toMatch(/npm (run|ci|install)/);
  });

  it('build the container image only when each of its bases has a digest', () => {
    const { jobs } = z
      .object({
        jobs: z.object({
          image: z.strictObject({
            'runs-on': z.string(),
            'timeout-minutes': z.int(),
            steps: z.array(
              z.strictObject({
                name: z.string().optional(),
                uses: z.string().optional(),
                with: z.unknown().optional(),
                run: z.string().optional(),
              }),
            ),
          }),
        }),
      })
      .parse(parse(read('.github/workflows/container.yml')));

    const commands = jobs.image.steps.flatMap(({ run }) => run ?? []);
    expect(commands).toEqual([
      'npm ci',
      'npm run pin-bases -- --resolve',
      'npm run pin-bases',
      'docker build --build-arg "BUILD_COMMIT=$GITHUB_SHA" --tag "agent:$GITHUB_SHA" .',
    ]);
  });

  it('retry the upload but not the smoke test, and deploy the last good package after a red one', () => {
    const { jobs } = z
      .object({
        jobs: z.object({
          deploy: z.object({
            steps: z.array(
              z.object({
                run: z.string().optional(),
                if: z.string().optional(),
                id: z.string().optional(),
              }),
            ),
          }),
        }),
      })
      .parse(parse(read('.github/workflows/deploy-package.yml')));

    const { steps } = jobs.deploy;
    const smoke = steps.findIndex(({ id }) => id === 'smoke');
    const after = steps.slice(smoke + 1);
    expect(steps[smoke - 1]?.run).toBe('sh infra/hooks/deploy-package.sh package');
    expect(steps[smoke]?.run).toBe('node infra/hooks/smoke-package.js package');
    expect(after.map((step) => step.if?.includes('failure()'))).toEqual([true, true, true]);
    expect(after.at(-1)?.run).toContain('sh infra/hooks/deploy-package.sh last-good');
    expect(steps.filter(({ run }) => run?.includes('${{'))).toEqual([]);
  });

  it('log in to Azure without a secret', () => {
    const text = read('.github/workflows/deploy-package.yml');

    expect(text).toContain('--federated-credential-provider github');
    expect(text).not.toMatch(/client-secret|secrets\.AZURE/);
  });

  it('are kept up to date with the packages', () => {
    const { updates } = z
      .object({ updates: z.array(z.object({ 'package-ecosystem': z.string() })) })
      .parse(parse(read('.github/dependabot.yml')));

    expect(updates.map((update) => update['package-ecosystem']).toSorted()).toEqual([
      'docker',
      'github-actions',
      'npm',
    ]);
  });
});

describe('a planted mistake in a workflow', () => {
  const ci = read('.github/workflows/ci.yml');

  it.each([
    ['a moving tag', /@[0-9a-f]{40} # v\S+/, '@v6'],
    ['a short commit', /@([0-9a-f]{7})[0-9a-f]{33}/, '@$1'],
    ['a commit without its version', / # v\d+\.\d+\.\d+/, ''],
  ])('is found: %s', (_what, pattern, to) => {
    expect(unpinnedActions(ci.replace(pattern, to))).toHaveLength(1);
  });

  it('is found: a context that does not exist', () => {
    const text = ci.replace('run: .ci/run', 'run: echo ${{ enviroment.HOME }}');

    expect(lint(text, 'ci.yml').join('\n')).toContain('enviroment');
  });

  it('is found: a permission to write, and a job without a time limit', () => {
    expect(carelessJobs(ci.replace('contents: read', 'contents: write'))).toHaveLength(1);
    expect(carelessJobs(ci.replaceAll(/timeout-minutes: \d+/g, 'name: x'))).not.toEqual([]);
  });
});
