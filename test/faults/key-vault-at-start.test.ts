import { beforeAll, describe, expect, it } from 'vitest';
import { buildIfStale } from '../../dev/faults/fault-environment.ts';
import { eventually, postChat } from '../e2e/support/post-chat.ts';
import { createJobClient } from '../support/batch/job-client.ts';
import { startStorageEnvironment, shareStorage } from '../support/batch/storage-environment.ts';
import { expectNoCanary, OLD_KEY, startVaultScene } from './support/vault-scene.ts';

const storage = shareStorage();
beforeAll(buildIfStale);

describe.concurrent('K1 a vault that is away at start', () => {
  it.for([
    { mood: { kind: 'down' } as const, trouble: 'not reachable' },
    { mood: { kind: 'status', status: 403 } as const, trouble: 'access denied' },
  ])(
    'leaves health at 200 and ready at 503 until it answers ($trouble)',
    async (example, context) => {
      const scene = await startVaultScene(context, {
        storage: storage().AzureWebJobsStorage,
        prepare(vault) {
          vault.set('openai-api-key', OLD_KEY);
          vault.be(example.mood);
        },
      });
      const { app, vault } = scene;

      const [health, ready, chat] = await Promise.all([
        fetch(`${app.url}/health`),
        fetch(`${app.url}/ready`),
        postChat(app.url, { message: 'Hi' }),
      ]);
      const readyText = await ready.text();
      expect([health.status, ready.status, chat.status]).toEqual([200, 503, 503]);
      expect(JSON.parse(readyText)).toMatchObject({ error: { code: 'config_unavailable' } });
      expect(readyText).toContain('OPENAI_API_KEY');
      expect(readyText).toContain(`Key Vault secret openai-api-key: ${example.trouble}`);
      expect(Number(chat.headers.get('retry-after'))).toBeGreaterThan(0);

      vault.be({ kind: 'well' });
      const statuses = new Set<number>();
      await eventually(
        'the app is ready',
        async () => {
          statuses.add((await fetch(`${app.url}/health`)).status);
          return (await fetch(`${app.url}/ready`)).status === 200;
        },
        30_000,
      );

      const first = await postChat(app.url, { message: 'Hi' });
      expect(first.status).toBe(200);
      expect([...statuses]).toEqual([200]);
      await expectNoCanary(scene, [readyText]);
    },
  );
});

describe.concurrent('K2 a vault that takes 30 s', () => {
  it('is waited for once by all, for no longer than its time limit', async (context) => {
    const scene = await startVaultScene(context, {
      storage: storage().AzureWebJobsStorage,
      prepare(vault) {
        vault.set('openai-api-key', OLD_KEY);
        vault.be({ kind: 'slow', delayMs: 30_000 });
      },
      settings: { AGENT__SECRETS__LOAD_TIMEOUT_MS: '1000' },
    });

    const answers = await Promise.all(
      Array.from({ length: 10 }, () => postChat(scene.app.url, { message: 'Hi' })),
    );

    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([503]));
    expect(answers.every((response) => response.headers.has('retry-after'))).toBe(true);
    expect(await answers[0]?.text()).toContain('caller-keys: timed out');
    expect((await fetch(`${scene.app.url}/health`)).status).toBe(200);
    expect(scene.upstream.requests).toEqual([]);
  });
});

describe.concurrent('K5 an identity endpoint', () => {
  it.for([
    { what: 'slow', mood: { kind: 'slow', delayMs: 30_000 } as const },
    { what: 'gone', mood: { kind: 'down' } as const },
  ])(
    'that is $what delays no answer beyond the time limit and is reported',
    async ({ mood }, context) => {
      const scene = await startVaultScene(context, {
        storage: storage().AzureWebJobsStorage,
        prepare(vault) {
          vault.set('openai-api-key', OLD_KEY);
          vault.identityBe(mood);
        },
        settings: { AGENT__SECRETS__LOAD_TIMEOUT_MS: '1500' },
      });
      const { app, vault } = scene;

      const ready = await fetch(`${app.url}/ready`);
      const text = await ready.text();
      vault.identityBe({ kind: 'well' });
      await eventually(
        'the app is ready',
        async () => (await fetch(`${app.url}/ready`)).status === 200,
        30_000,
      );

      expect(ready.status).toBe(503);
      expect(text).toMatch(/openai-api-key: (?:timed out|no access token)/);
    },
  );
});

describe.concurrent('K1 a job that comes while the vault is away', () => {
  it('is done when the vault is back', async (context) => {
    const own = await startStorageEnvironment();
    context.onTestFinished(() => own.stop());
    const scene = await startVaultScene(context, {
      storage: own.connectionString,
      prepare(vault) {
        vault.set('openai-api-key', OLD_KEY);
        vault.be({ kind: 'down' });
      },
    });
    const batch = createJobClient(scene.app.connectionString);
    const items = [{ custom_id: 'a', body: { message: 'Hi' } }];

    await batch.submit({ v: 1, jobId: 'patient', items });
    await eventually('the app has looked for the model in vain', () =>
      scene.app.log.some((line) => line.includes('model not configured')),
    );
    scene.vault.be({ kind: 'well' });
    await eventually(
      'the job is finished',
      async () => (await batch.read('patient'))?.results.size === 1,
      60_000,
    );

    const [line] = (await batch.read('patient'))?.results.values() ?? [];
    expect(line?.error).toBeNull();
  }, 90_000);
});
