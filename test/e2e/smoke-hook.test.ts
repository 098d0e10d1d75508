import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PROJECT_ROOT } from '../../dev/project-root.ts';
import { runScript } from '../support/run-script.ts';
import { startBreakingProxy, type Break } from './support/breaking-proxy.ts';
import { startEnvironment, type TestEnvironment } from './support/start-environment.ts';

const HOOK = join(PROJECT_ROOT, 'infra/hooks/smoke.js');
const KEY = 'a-key-of-the-functions';
const LOCKED = {
  enableAuth: true,
  keys: { master: 'the-master-key', host: { default: KEY } },
} as const;

let environment: TestEnvironment;
beforeAll(async () => {
  environment = await startEnvironment(LOCKED);
});
afterAll(() => environment.stop());

interface Outcome {
  readonly code: number | null;
  readonly output: string;
  /** The names of the checks that failed. */
  readonly failed: readonly string[];
}

async function runHook(url: string, env: Readonly<Record<string, string>> = {}): Promise<Outcome> {
  const script = runScript(HOOK, {
    cwd: PROJECT_ROOT,
    env: {
      SERVICE_API_URL: url,
      SMOKE_FUNCTION_KEY: KEY,
      SMOKE_SECONDS: '0',
      SMOKE_BATCH_SECONDS: '20',
      ...env,
    },
  });
  const { code } = await script.ended;
  const output = `${script.stdout()}${script.stderr()}`;
  const failed = [...output.matchAll(/^FAIL {2}([^:]+):/gm)].map(([, name = '']) => name);
  return { code, output, failed };
}

async function runHookOn(spoil: Break): Promise<Outcome> {
  await using proxy = await startBreakingProxy(environment.url, spoil);
  return await runHook(proxy.url);
}

describe('the smoke test after a deployment', () => {
  it('passes on a correct app that requires keys, and prints no key', async () => {
    const { code, output, failed } = await runHook(environment.url);

    expect(output).toContain('smoke: 10 checks passed');
    expect(failed).toEqual([]);
    expect(code).toBe(0);
    expect(output).not.toContain(KEY);
  });

  it('fails the deployment of an app without keys, with a foreign origin or without headers', async () => {
    const { code, failed } = await runHookOn((request, answer) => {
      delete answer.headers['x-frame-options'];
      if (answer.status === 401) answer.status = 200;
      if (request.method === 'OPTIONS') answer.headers['access-control-allow-origin'] = '*';
      answer.body = answer.body.replace('event: done', 'event: over');
    });

    expect(failed).toEqual([
      'security headers',
      'call without a key',
      'call with a wrong key',
      'foreign origin',
      'streamed chat',
    ]);
    expect(code).toBe(1);
  });

  it('fails the deployment when health, readiness or chat fail', async () => {
    const { code, failed } = await runHookOn((request, answer) => {
      if (request.url === '/health') answer.body = '{"status":"up"}';
      if (request.url === '/ready') answer.status = 503;
      if (request.url === '/health/ready') answer.body = '{"status":"unready"}';
      if (request.url === '/api/chat') delete answer.headers['x-request-id'];
    });

    expect(failed).toEqual(['health', 'ready', 'health/ready', 'chat']);
    expect(code).toBe(1);
  });

  it('fails the deployment when the key is rejected', async () => {
    const { code, failed } = await runHook(environment.url, { SMOKE_FUNCTION_KEY: 'revoked' });

    expect(failed).toEqual(expect.arrayContaining(['chat', 'streamed chat']));
    expect(code).toBe(1);
  });

  it('fails the deployment when nothing reads the queue', async () => {
    const deaf = await startEnvironment({
      ...LOCKED,
      settings: { 'AzureWebJobs.batch.Disabled': 'true' },
    });
    try {
      const { code, failed } = await runHook(deaf.url, { SMOKE_BATCH_SECONDS: '2' });

      expect(failed).toEqual(['batch round trip']);
      expect(code).toBe(1);
    } finally {
      await deaf.stop();
    }
  });

  it('waits for an app that is still starting', async () => {
    let asked = 0;
    await using proxy = await startBreakingProxy(environment.url, (request, answer) => {
      if (request.url !== '/health') return;
      asked += 1;
      if (asked === 1) answer.status = 503;
    });

    const { code, failed } = await runHook(proxy.url, { SMOKE_SECONDS: '30' });

    expect(failed).toEqual([]);
    expect(code).toBe(0);
    expect(asked).toBeGreaterThan(1);
  });
});
