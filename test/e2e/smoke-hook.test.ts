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
      SMOKE_BATCH_POLL_SECONDS: '0.2',
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

    expect(output).toContain('smoke: 11 checks passed');
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

    expect(failed).toEqual(['health', 'version', 'ready', 'health/ready', 'chat']);
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

  it('reports a model that died since the last run, with the number of failed chats', async () => {
    const cached = await startEnvironment({
      ...LOCKED,
      settings: { AGENT__CACHE__TTL_SECONDS: '300' },
    });
    try {
      const before = await runHook(cached.url);
      await cached.model.stop();

      const after = await runHook(cached.url, { SMOKE_BATCH_SECONDS: '0.1' });

      expect(before.failed).toEqual([]);
      expect(after.failed).toEqual(
        expect.arrayContaining(['chat', 'streamed chat', 'batch round trip']),
      );
      expect(after.output).toMatch(
        /the model does not answer: 3 of 3 chats failed \((503 upstream_unavailable \d times?(, )?)+\)/,
      );
      expect(after.code).toBe(1);
    } finally {
      await cached.stop();
    }
  });

  it('reports a model that answers but refuses to stream', async () => {
    await using proxy = await startBreakingProxy(environment.model.url, (_request, answer) => {
      if (!answer.headers['content-type']?.startsWith('text/event-stream')) return;
      answer.status = 400;
      answer.headers['content-type'] = 'application/json';
      answer.body = '{"error":{"message":"stream is not supported","code":"unsupported"}}';
    });
    const whole = await startEnvironment({ ...LOCKED, settings: { OPENAI_BASE_URL: proxy.url } });
    try {
      const { code, failed } = await runHook(whole.url);

      expect(failed).toEqual(['streamed chat']);
      expect(code).toBe(1);
    } finally {
      await whole.stop();
    }
  });

  it('passes with a model that is slow', async () => {
    const slow = await startEnvironment({ ...LOCKED, model: 'dev/slow-20000' });
    try {
      const { code, failed } = await runHook(slow.url);

      expect(failed).toEqual([]);
      expect(code).toBe(0);
    } finally {
      await slow.stop();
    }
  });

  it('fails the deployment while another version answers', async () => {
    const { code, output, failed } = await runHook(environment.url, { SMOKE_VERSION: '9.9.9+abc' });

    expect(failed).toEqual(['version']);
    expect(output).toMatch(/9\.9\.9\+abc was deployed, but GET \/health answered with .+ 5 times/);
    expect(code).toBe(1);
  });

  it('fails the deployment when any part is unready, or an answer comes from a cache', async () => {
    const { code, failed } = await runHookOn((request, answer) => {
      if (request.url?.endsWith('ready')) {
        answer.body = answer.body.replace(
          '"secrets":{"status":"ready"',
          '"secrets":{"status":"unready"',
        );
      }
      answer.body = answer.body.replace('"cached":false', '"cached":true');
    });

    expect(failed).toEqual(['ready', 'health/ready', 'chat', 'streamed chat']);
    expect(code).toBe(1);
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
