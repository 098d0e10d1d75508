import { DefaultAzureCredential } from '@azure/identity';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createKeyVaultReader } from '../../shared/secrets/key-vault.ts';
import { fetchAll } from '../../shared/secrets/refresh-schedule.ts';
import type { SecretReader } from '../../shared/secrets/secrets.ts';
import {
  loopbackTransport,
  startLoopbackVault,
  type LoopbackVault,
} from '../support/loopback-vault.ts';

const VAULT_URL = 'https://dev.vault.azure.net';
const IDENTITY_SETTINGS = ['IDENTITY_ENDPOINT', 'IDENTITY_HEADER'] as const;

let vault: LoopbackVault;
let reader: SecretReader;
const before: Partial<Record<string, string>> = {};

beforeAll(async () => {
  vault = await startLoopbackVault();
  for (const name of IDENTITY_SETTINGS) {
    before[name] = process.env[name];
    process.env[name] = vault.identity[name];
  }
});

beforeEach(() => {
  vault.be({ kind: 'well' });
  reader = createKeyVaultReader({
    vaultUrl: VAULT_URL,
    credential: new DefaultAzureCredential(),
    httpClient: loopbackTransport(vault.origin),
  });
});

afterAll(async () => {
  for (const name of IDENTITY_SETTINGS) {
    if (before[name] === undefined) delete process.env[name];
    else process.env[name] = before[name];
  }
  await vault.close();
});

async function readOne(name: string, timeoutMs = 5_000) {
  const { readings, failures: troubles } = await fetchAll({ reader, names: [name], timeoutMs });
  return readings.get(name) ?? troubles.get(name);
}

describe('the reader of Key Vault, with the real clients', () => {
  it('answers the challenge with a managed identity and reads value and version', async () => {
    vault.set('openai-api-key', 'key-1');

    const first = await readOne('openai-api-key');
    vault.set('openai-api-key', 'key-2\n');
    const second = await readOne('openai-api-key');

    expect(first).toMatchObject({ kind: 'found', value: 'key-1' });
    expect(second).toMatchObject({ kind: 'found', value: 'key-2\n' });
    expect(first).not.toMatchObject({ version: (second as { version: string }).version });
    expect(vault.tokenRequests()).toBe(1);
  });

  it('tells a secret that is not there from one that is disabled', async () => {
    vault.set('caller-keys', 'hidden', { enabled: false });

    const absent = await readOne('no-such-secret');
    const disabled = await readOne('caller-keys');

    expect(absent).toEqual({ kind: 'missing', reason: 'absent' });
    expect(disabled).toEqual({ kind: 'missing', reason: 'disabled' });
  });

  it('reads a value of 25 kB as it is', async () => {
    vault.set('large', 'x'.repeat(25_600));

    const large = await readOne('large');

    expect(large).toMatchObject({ kind: 'found', value: 'x'.repeat(25_600) });
  });

  it.each([
    { mood: { kind: 'status', status: 403 } as const, trouble: 'access denied' },
    { mood: { kind: 'status', status: 429 } as const, trouble: 'throttled' },
    { mood: { kind: 'status', status: 500 } as const, trouble: 'server error' },
    { mood: { kind: 'status', status: 503 } as const, trouble: 'server error' },
    { mood: { kind: 'down' } as const, trouble: 'not reachable' },
    { mood: { kind: 'slow', delayMs: 30_000 } as const, trouble: 'timed out' },
  ])('reports $mood as trouble after a single call', async ({ mood, trouble }) => {
    vault.set('openai-api-key', 'key-1');
    await readOne('openai-api-key');
    const readsBefore = vault.reads().length;
    vault.be(mood);

    const answer = await readOne('openai-api-key', mood.kind === 'slow' ? 200 : 5_000);

    expect(answer).toBe(trouble);
    expect(vault.reads().length - readsBefore).toBe(1);
  });

  it('reports a name that does not resolve as not reachable', async () => {
    reader = createKeyVaultReader({
      vaultUrl: 'https://no-such-vault.invalid',
      credential: new DefaultAzureCredential(),
    });

    expect(await readOne('openai-api-key')).toBe('not reachable');
  });

  it('refuses to answer a challenge that is meant for another host', async () => {
    reader = createKeyVaultReader({
      vaultUrl: 'https://vault.example',
      credential: new DefaultAzureCredential(),
      httpClient: loopbackTransport(vault.origin),
    });
    const readsBefore = vault.reads().length;

    const answer = await readOne('openai-api-key');

    expect(answer).toBe('not reachable');
    expect(vault.reads().length).toBe(readsBefore);
  });

  it('never puts a value, an address or a token into what it throws', async () => {
    vault.be({ kind: 'status', status: 403 });

    const thrown = await reader
      .read('openai-api-key', AbortSignal.timeout(5_000))
      .catch((error: unknown) => error);

    expect(String(thrown)).toBe('VaultError: The vault cannot be read: access denied');
  });
});
