import { beforeAll, describe, expect, it } from 'vitest';
import { buildIfStale } from '../../dev/faults/fault-environment.ts';
import { eventually, postChat } from '../e2e/support/post-chat.ts';
import { shareStorage } from '../support/batch/storage-environment.ts';
import {
  expectNoCanary,
  keyReads,
  NEW_KEY,
  OLD_KEY,
  startVaultScene,
} from './support/vault-scene.ts';

const storage = shareStorage();
beforeAll(buildIfStale);

describe.concurrent('U20 a rotation under load', () => {
  it('costs one read of the vault, no failed request and no restart', async (context) => {
    const scene = await startVaultScene(context, {
      storage: storage().AzureWebJobsStorage,
      prepare: (vault) => vault.set('openai-api-key', OLD_KEY),
    });
    const { app, vault, accept } = scene;
    expect((await postChat(app.url, { message: 'Hi' })).status).toBe(200);
    const pid = app.host.workerPid();
    const readsBefore = keyReads(scene);

    const answers: Promise<Response>[] = [];
    for (let tick = 0; tick < 80; tick += 1) {
      if (tick === 40) {
        vault.set('openai-api-key', `${NEW_KEY}\n`);
        accept(NEW_KEY);
      }
      answers.push(postChat(app.url, { message: `Hi ${tick}` }));
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const statuses = (await Promise.all(answers)).map(({ status }) => status);

    expect(statuses.filter((status) => status !== 200)).toEqual([]);
    expect(keyReads(scene) - readsBefore).toBe(1);
    expect(app.host.workerPid()).toBe(pid);
    await expectNoCanary(scene);
  });

  it('ends as upstream_auth while the key is really wrong, without a storm of reads', async (context) => {
    const scene = await startVaultScene(context, {
      storage: storage().AzureWebJobsStorage,
      prepare: (vault) => vault.set('openai-api-key', 'canary-wrong-key'),
    });

    const answers = await Promise.all(
      Array.from({ length: 20 }, () => postChat(scene.app.url, { message: 'Hi' })),
    );

    const texts = await Promise.all(answers.map((response) => response.text()));
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 503));
    expect(texts.every((text) => text.includes('upstream_auth'))).toBe(true);
    expect(keyReads(scene)).toBeLessThanOrEqual(2);
    await expectNoCanary(scene, texts);
  });
});

describe.concurrent('K3 a vault that goes away later', () => {
  it.for([{ kind: 'down' } as const, { kind: 'status', status: 429 } as const])(
    'is hardly asked while the last known key serves ($kind)',
    async (mood, context) => {
      const scene = await startVaultScene(context, {
        storage: storage().AzureWebJobsStorage,
        prepare: (vault) => vault.set('openai-api-key', OLD_KEY),
        settings: { AGENT__SECRETS__REFRESH_MS: '1000' },
      });
      const { app, vault } = scene;
      await postChat(app.url, { message: 'Hi' });
      vault.be(mood);
      await eventually('the app has noticed', () =>
        app.log.some((line) => line.includes('key vault failed')),
      );
      const readsBefore = keyReads(scene);

      const statuses: number[] = [];
      for (let second = 0; second < 10; second += 1) {
        statuses.push((await postChat(app.url, { message: 'Hi' })).status);
        await new Promise((resolve) => setTimeout(resolve, 300));
      }

      expect(new Set(statuses)).toEqual(new Set([200]));
      expect(keyReads(scene)).toBe(readsBefore);
      await eventually('ready says so', async () => {
        const ready = await fetch(`${app.url}/ready`);
        const text = await ready.text();
        return ready.status === 200 && text.includes('degraded') && text.includes('Key Vault');
      });
      await expectNoCanary(scene);
    },
  );
});

describe.concurrent('K4 a secret', () => {
  it.for([
    { what: 'empty', value: ' \n', enabled: true, reason: 'empty' },
    { what: 'of 25 kB', value: 'canary'.repeat(4_200), enabled: true, reason: 'too large' },
    { what: 'disabled', value: 'canary', enabled: false, reason: 'disabled' },
  ])('that is $what counts as missing', async ({ value, enabled, reason }, context) => {
    const scene = await startVaultScene(context, {
      storage: storage().AzureWebJobsStorage,
      prepare: (vault) => vault.set('openai-api-key', value, { enabled }),
    });

    const ready = await fetch(`${scene.app.url}/ready`);

    const text = await ready.text();
    expect(ready.status).toBe(503);
    expect(text).toContain(`Key Vault secret openai-api-key: ${reason}`);
    await expectNoCanary(scene, [text]);
  });

  it('that ends in a line feed is used without it, and one disabled later goes missing', async (context) => {
    const scene = await startVaultScene(context, {
      storage: storage().AzureWebJobsStorage,
      prepare: (vault) => vault.set('openai-api-key', `${OLD_KEY}\r\n`),
      settings: { AGENT__SECRETS__REFRESH_MS: '1000' },
    });
    const { app, vault } = scene;
    const before = await postChat(app.url, { message: 'Hi' });

    vault.set('openai-api-key', OLD_KEY, { enabled: false });
    await eventually('the key is gone', async () => {
      const chat = await postChat(app.url, { message: 'Hi' });
      return (await chat.text()).includes('config_unavailable');
    });
    await eventually('ready says so', async () => {
      const ready = await fetch(`${app.url}/ready`);
      return ready.status === 503 && (await ready.text()).includes('OPENAI_API_KEY');
    });
    vault.set('openai-api-key', NEW_KEY);
    scene.accept(NEW_KEY);
    await eventually(
      'the app is ready again',
      async () => (await fetch(`${app.url}/ready`)).status === 200,
    );

    expect(before.status).toBe(200);
    expect((await postChat(app.url, { message: 'Hi' })).status).toBe(200);
    await expectNoCanary(scene);
  });
});
