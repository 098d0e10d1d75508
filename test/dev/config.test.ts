import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { inspectConfig } from '../../shared/config/read-config.ts';
import { describeConfig } from '../../dev/config/describe-config.ts';
import { startVaultEnvironment, type VaultEnvironment } from '../e2e/support/vault-environment.ts';
import { runScript } from '../support/run-script.ts';

const SCRIPT = fileURLToPath(new URL('../../dev/config.ts', import.meta.url));
const PRELOAD = new URL('../support/resolve-vaults-to-loopback.ts', import.meta.url);

const TRUST = 'AGENT__CALLERS__TRUST_ENTRA_PRINCIPAL';
const PRINCIPAL = 'platform principal (x-ms-client-principal, written by Easy Auth)';
const KEYS = JSON.stringify({ alice: 'a'.repeat(64) });

let environment: VaultEnvironment;
beforeAll(async () => {
  environment = await startVaultEnvironment();
  environment.vault.set('openai-api-key', 'zebra-vault-key');
  environment.vault.set('azure-openai-endpoint', 'https://zebra-vault.openai.azure.com');
});
afterAll(() => environment.stop());

async function run(env: Record<string, string>) {
  const script = runScript(SCRIPT, { env });
  const { code } = await script.ended;
  return { code, out: script.stdout(), err: script.stderr() };
}

/** The cells of one row of the table. */
function row(out: string, key: string): string[] {
  const line = out.split('\n').find((text) => text.startsWith(`${key} `)) ?? '';
  return line.split(/ {2,}/);
}

describe('npm run config', () => {
  it('shows each value with its source, and exits with 0', async () => {
    const { code, out } = await run({
      OPENAI_API_KEY: 'zebra-key',
      AGENT__LIMITS__HEARTBEAT_MS: '1234',
    });

    expect(code).toBe(0);
    expect(row(out, 'limits.heartbeat_ms')).toEqual(['limits.heartbeat_ms', '1234', 'environment']);
    expect(row(out, 'limits.max_request_bytes').at(-1)).toBe('default');
    expect(row(out, 'agent.name').at(-1)).toBe('agent.toml');
    expect(row(out, 'OPENAI_API_KEY')).toEqual(['OPENAI_API_KEY', 'set', 'environment']);
    expect(out).not.toContain('zebra');
  });

  it('asks the vault and says which values came from it, but not what they are', async () => {
    const { languageWorkers__node__arguments: _preload, ...settings } = environment.settings;

    const { code, out, err } = await run({
      ...settings,
      NODE_OPTIONS: `--import ${pathToFileURL(fileURLToPath(PRELOAD)).href}`,
      AZURE_OPENAI_DEPLOYMENT: 'gpt',
    });

    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(row(out, 'OPENAI_API_KEY')).toEqual(['OPENAI_API_KEY', 'set', 'Key Vault']);
    expect(row(out, 'AZURE_OPENAI_ENDPOINT')).toEqual([
      'AZURE_OPENAI_ENDPOINT',
      'set',
      'Key Vault',
    ]);
    expect(row(out, 'AZURE_OPENAI_DEPLOYMENT')).toEqual([
      'AZURE_OPENAI_DEPLOYMENT',
      'gpt',
      'environment',
    ]);
    expect(out).not.toContain('zebra');
  });

  it('lists all problems by name without a value, and exits with 1', async () => {
    const { code, out, err } = await run({
      OPENAI_API_KEY: 'zebra\u0007key',
      OPENAI_BASE_URL: 'zebra',
      AGENT__BATCH__CONCURRENCY: '-77777',
      AGENT__LIMITS__HEARTBEET_MS: '1',
    });

    expect(code).toBe(1);
    for (const name of [
      'OPENAI_API_KEY must be',
      'OPENAI_BASE_URL must be',
      'AGENT__BATCH__CONCURRENCY must be',
      'AGENT__LIMITS__HEARTBEET_MS must be a known key; the nearest is AGENT__LIMITS__HEARTBEAT_MS',
    ]) {
      expect(err).toContain(name);
    }
    expect(row(out, 'batch.concurrency')).toEqual(['batch.concurrency', 'unusable', 'environment']);
    expect(out + err).not.toMatch(/zebra|77777/);
  });

  it.each([
    [{}, 'client address: neither Easy Auth nor caller keys are set'],
    [{ CALLER_KEYS: KEYS }, 'caller key'],
    [{ [TRUST]: 'true' }, `${PRINCIPAL}; without one by client address`],
    [{ [TRUST]: 'true', CALLER_KEYS: KEYS }, `${PRINCIPAL}; without one by caller key`],
    [{ [TRUST]: 'false', CALLER_KEYS: KEYS }, 'caller key'],
    [
      {
        [TRUST]: 'true',
        ROUTE_AUTH_LEVEL: 'anonymous',
        AGENT__CALLERS__ENTRA_APP_ROLE: 'Agent.Call',
      },
      `${PRINCIPAL}, with the app role Agent.Call or 403; any other request gets 401`,
    ],
    [
      { ROUTE_AUTH_LEVEL: 'anonymous' },
      'nothing, so every request gets 401: neither Easy Auth nor caller keys are set',
    ],
  ])('says which identity of callers is in force, with %o', async (env, identity) => {
    const { out } = await run({ OPENAI_API_KEY: 'zebra-key', ...env });

    const level = 'ROUTE_AUTH_LEVEL' in env ? 'needs no key' : 'needs a key';
    expect(out.split('\n')).toContain(
      `A request ${level} of the Functions host (ROUTE_AUTH_LEVEL)`,
    );
    expect(out.split('\n')).toContain(`Callers are identified by ${identity}`);
  });

  it('finds caller keys in the vault, and says so while the vault does not give them', async () => {
    const { languageWorkers__node__arguments: _preload, ...settings } = environment.settings;
    const env = {
      ...settings,
      NODE_OPTIONS: `--import ${pathToFileURL(fileURLToPath(PRELOAD)).href}`,
      AZURE_OPENAI_DEPLOYMENT: 'gpt',
    };

    onTestFinished(() => environment.vault.remove('caller-keys'));
    environment.vault.set('caller-keys', KEYS);
    const there = await run(env);
    environment.vault.set('caller-keys', '');
    const empty = await run(env);

    expect(there.out).toContain('Callers are identified by caller key\n');
    expect(empty.out).toContain('caller key, which Key Vault does not give (empty)');
  });

  it('says that the local environment brings a model where none is set', async () => {
    const { code, out } = await run({});

    expect(code).toBe(0);
    expect(out).toContain('No model is set: npm start uses the development model');
  });
});

describe('the table of the configuration', () => {
  it('keeps a long value and one with control characters to its line', () => {
    const agentToml = `[agent]\ninstructions = "a\\n\\u001b[2J${'b'.repeat(100)}"`;

    const lines = describeConfig(inspectConfig({}, { agentToml }));

    const line = lines.find((text) => text.startsWith('agent.instructions')) ?? '';
    expect(line).toMatch(/a \[2Jb+\.\.\. {2,}agent\.toml$/);
  });
});
