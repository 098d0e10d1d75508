import { afterEach, describe, expect, it } from 'vitest';
import { createJobClient } from '../support/batch/job-client.ts';
import { eventually, postChat } from '../e2e/support/post-chat.ts';
import { startEnvironment, type TestEnvironment } from '../e2e/support/start-environment.ts';
import { startVaultEnvironment, type VaultEnvironment } from '../e2e/support/vault-environment.ts';
import {
  refuse,
  say,
  startScriptedUpstream,
  type ScriptedUpstream,
} from '../support/scripted-upstream.ts';

const OLD_KEY = 'canary-old-key';
const NEW_KEY = 'canary-new-key';
interface Scene {
  readonly app: TestEnvironment;
  readonly vault: VaultEnvironment['vault'];
  readonly upstream: ScriptedUpstream;
  /** From now on the upstream takes only this key. */
  readonly accept: (key: string) => void;
}

const opened: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).toReversed()) await close();
});

/** The built app with a vault of its own and an upstream that is strict about keys. */
async function start(
  prepare: (vault: VaultEnvironment['vault']) => void,
  settings: Record<string, string> = {},
): Promise<Scene> {
  let accepted = OLD_KEY;
  const upstream = await startScriptedUpstream((turn) => {
    const isKnown = turn.request.headers.authorization === `Bearer ${accepted}`;
    return (isKnown ? say('Hello') : refuse(401))(turn);
  });
  opened.push(async () => upstream[Symbol.asyncDispose]());
  const vaultEnvironment = await startVaultEnvironment();
  opened.push(() => vaultEnvironment.stop());
  prepare(vaultEnvironment.vault);
  const app = await startEnvironment({
    settings: { ...vaultEnvironment.settings, OPENAI_BASE_URL: upstream.baseUrl, ...settings },
  });
  opened.push(() => app.stop());
  return { app, vault: vaultEnvironment.vault, upstream, accept: (key) => void (accepted = key) };
}

function keyReads({ vault }: Scene): number {
  return vault.reads().filter((name) => name === 'openai-api-key').length;
}

async function expectNoCanary({ app }: Scene, texts: readonly string[] = []): Promise<void> {
  const pages = await Promise.all(
    ['/health', '/ready', '/health/ready'].map(async (path) =>
      (await fetch(`${app.url}${path}`)).text(),
    ),
  );
  for (const text of [...texts, ...pages, ...app.log]) expect(text).not.toMatch(/canary/);
}

describe('U20 a rotation under load', () => {
  it('costs one read of the vault, no failed request and no restart', async () => {
    const scene = await start((vault) => vault.set('openai-api-key', OLD_KEY));
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

  it('ends as upstream_auth while the key is really wrong, without a storm of reads', async () => {
    const scene = await start((vault) => vault.set('openai-api-key', 'canary-wrong-key'));

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

describe('K1 a vault that is away at start', () => {
  it.each([
    { mood: { kind: 'down' } as const, trouble: 'not reachable' },
    { mood: { kind: 'status', status: 403 } as const, trouble: 'access denied' },
  ])('leaves health at 200 and ready at 503 until it answers ($trouble)', async (example) => {
    const scene = await start((vault) => {
      vault.set('openai-api-key', OLD_KEY);
      vault.be(example.mood);
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
  });
});

describe('K2 a vault that takes 30 s', () => {
  it('is waited for once by all, for no longer than its time limit', async () => {
    const scene = await start(
      (vault) => {
        vault.set('openai-api-key', OLD_KEY);
        vault.be({ kind: 'slow', delayMs: 30_000 });
      },
      { AGENT__SECRETS__LOAD_TIMEOUT_MS: '1000' },
    );

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

describe('K3 a vault that goes away later', () => {
  it.each([{ kind: 'down' } as const, { kind: 'status', status: 429 } as const])(
    'is hardly asked while the last known key serves ($kind)',
    async (mood) => {
      const scene = await start((vault) => vault.set('openai-api-key', OLD_KEY), {
        AGENT__SECRETS__REFRESH_MS: '1000',
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

describe('K4 a secret', () => {
  it.each([
    { what: 'empty', value: ' \n', enabled: true, reason: 'empty' },
    { what: 'of 25 kB', value: 'canary'.repeat(4_200), enabled: true, reason: 'too large' },
    { what: 'disabled', value: 'canary', enabled: false, reason: 'disabled' },
  ])('that is $what counts as missing', async ({ value, enabled, reason }) => {
    const scene = await start((vault) => vault.set('openai-api-key', value, { enabled }));

    const ready = await fetch(`${scene.app.url}/ready`);

    const text = await ready.text();
    expect(ready.status).toBe(503);
    expect(text).toContain(`Key Vault secret openai-api-key: ${reason}`);
    await expectNoCanary(scene, [text]);
  });

  it('that ends in a line feed is used without it, and one disabled later goes missing', async () => {
    const scene = await start((vault) => vault.set('openai-api-key', `${OLD_KEY}\r\n`), {
      AGENT__SECRETS__REFRESH_MS: '1000',
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

describe('K5 an identity endpoint', () => {
  it.each([
    { what: 'slow', mood: { kind: 'slow', delayMs: 30_000 } as const },
    { what: 'gone', mood: { kind: 'down' } as const },
  ])('that is $what delays no answer beyond the time limit and is told', async ({ mood }) => {
    const scene = await start(
      (vault) => {
        vault.set('openai-api-key', OLD_KEY);
        vault.identityBe(mood);
      },
      { AGENT__SECRETS__LOAD_TIMEOUT_MS: '1500' },
    );
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
  });
});

describe('K1 a job that comes while the vault is away', () => {
  it('is done when the vault is back', async () => {
    const scene = await start((vault) => {
      vault.set('openai-api-key', OLD_KEY);
      vault.be({ kind: 'down' });
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
