import { DefaultAzureCredential } from '@azure/identity';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createKeyVaultReader } from '../../shared/secrets/key-vault.ts';
import { fetchAll } from '../../shared/secrets/refresh-schedule.ts';
import {
  loopbackTransport,
  startLoopbackVault,
  type LoopbackVault,
} from '../support/loopback-vault.ts';

const IDENTITY_SETTINGS = ['IDENTITY_ENDPOINT', 'IDENTITY_HEADER'] as const;

let vault: LoopbackVault;
const before: Partial<Record<string, string>> = {};

// Tokens are cached for the whole process, so a missing identity needs a file of its own.
beforeAll(async () => {
  vault = await startLoopbackVault();
  vault.set('openai-api-key', 'key-1');
  for (const name of IDENTITY_SETTINGS) {
    before[name] = process.env[name];
    process.env[name] = vault.identity[name];
  }
});

afterAll(async () => {
  for (const name of IDENTITY_SETTINGS) {
    if (before[name] === undefined) delete process.env[name];
    else process.env[name] = before[name];
  }
  await vault.close();
});

function createReader() {
  return createKeyVaultReader({
    vaultUrl: 'https://dev.vault.azure.net',
    credential: new DefaultAzureCredential(),
    httpClient: loopbackTransport(vault.origin),
  });
}

async function readKey(reader: ReturnType<typeof createReader>, timeoutMs: number) {
  const names = ['openai-api-key'];
  const { readings, failures: troubles } = await fetchAll({ reader, names, timeoutMs });
  return readings.get('openai-api-key') ?? troubles.get('openai-api-key');
}

describe('K5 a managed identity', () => {
  it('that is slow, then fails, then works is reported as such within the time limit', async () => {
    const reader = createReader();

    vault.identityBe({ kind: 'slow', delayMs: 30_000 });
    const slow = await readKey(reader, 200);
    vault.identityBe({ kind: 'status', status: 500 });
    const failing = await readKey(reader, 300);
    vault.identityBe({ kind: 'well' });
    const well = await readKey(reader, 5_000);

    expect(slow).toBe('timed out');
    expect(['no access token', 'timed out']).toContain(failing);
    expect(well).toMatchObject({ kind: 'found', value: 'key-1' });
  });
});
