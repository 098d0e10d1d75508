import { afterEach, describe, expect, it } from 'vitest';
import {
  type SecretReadResult,
  type Secrets,
  VaultError,
} from '../../../shared/secrets/secrets.ts';
import {
  DEFAULT_REFRESH_SCHEDULE,
  type RefreshSchedule,
} from '../../../shared/secrets/refresh-schedule.ts';
import { createVaultSecrets } from '../../../shared/secrets/vault-secrets.ts';
import { createLogTelemetry } from '../../support/log-telemetry.ts';

const WANTED = [
  {
    name: 'openai-api-key',
    variable: 'OPENAI_API_KEY',
    accepts: (value: string): boolean => !/\s/.test(value),
  },
  { name: 'azure-openai-endpoint', variable: 'AZURE_OPENAI_ENDPOINT' },
];
const QUICK: RefreshSchedule = {
  ...DEFAULT_REFRESH_SCHEDULE,
  loadTimeoutMs: 50,
  startRetryMs: 2,
  maxStartRetryMs: 4,
};

type Answer = SecretReadResult | 'away' | 'silent';

let opened: Secrets[] = [];
afterEach(() => {
  for (const secrets of opened) secrets.close();
  opened = [];
});

function found(value: string, version = value): SecretReadResult {
  return { kind: 'found', value, version };
}

/** Secrets of a scripted vault with a manual clock. */
function open(
  vault: Record<string, Answer>,
  {
    pace = {},
    environment = {},
  }: { pace?: Partial<RefreshSchedule>; environment?: Record<string, string> } = {},
) {
  let now = 1_000_000;
  const reads: string[] = [];
  const log = createLogTelemetry();
  const secrets = createVaultSecrets({
    required: WANTED,
    environment,
    schedule: { ...QUICK, ...pace },
    clock: { now: () => now },
    random: () => 0.5,
    telemetry: log.telemetry,
    reader: {
      async read(name) {
        reads.push(name);
        const answer = vault[name] ?? { kind: 'missing', reason: 'absent' };
        if (answer === 'away') throw new VaultError('server error');
        return answer === 'silent' ? new Promise<never>(() => undefined) : answer;
      },
    },
  });
  opened.push(secrets);
  const keyReads = (): number => reads.filter((name) => name === 'openai-api-key').length;
  return { secrets, vault, log, keyReads, advance: (ms: number) => void (now += ms) };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) {
    await new Promise((resolve) => {
      setTimeout(resolve, 1);
    });
  }
}

describe('secrets of a vault', () => {
  it('come from the vault, trimmed, even where the environment has one too', async () => {
    const { secrets } = open(
      { 'openai-api-key': found(' key-1\r\n') },
      { environment: { OPENAI_API_KEY: 'key-0' } },
    );

    await secrets.loaded();

    expect(secrets.get('openai-api-key')).toBe('key-1');
    expect(secrets.sourceOf('openai-api-key')).toBe('key-vault');
  });

  it.each([
    { what: 'absent', answer: undefined, reason: 'absent' },
    {
      what: 'disabled',
      answer: { kind: 'missing', reason: 'disabled' } as const,
      reason: 'disabled',
    },
    { what: 'empty', answer: found(' \n'), reason: 'empty' },
    { what: 'not valid', answer: found('key\n1'), reason: 'not valid' },
    { what: 'larger than a key can be', answer: found('k'.repeat(24_577)), reason: 'too large' },
  ])('come from the environment where the vault has one that is $what', async (example) => {
    const { secrets, vault, advance } = open(
      example.answer === undefined ? {} : { 'openai-api-key': example.answer },
      { environment: { OPENAI_API_KEY: 'key-0\n' } },
    );

    await secrets.loaded();

    expect(secrets.get('openai-api-key')).toBe('key-0');
    expect(secrets.sourceOf('openai-api-key')).toBe('environment');
    expect(secrets.missingReason('openai-api-key')).toBe(example.reason);
    expect(secrets.sourceOf('azure-openai-endpoint')).toBe('none');
    vault['openai-api-key'] = found('key-1');
    advance(DEFAULT_REFRESH_SCHEDULE.forcedGapMs);
    expect(await secrets.refreshNow()).toBe(true);
    expect(secrets.missingReason('openai-api-key')).toBeUndefined();
  });

  it.each([' \n', 'key\t2', 'k'.repeat(24_577)])(
    'keep their values while a new one cannot be used, example %#, and log it once',
    async (unusable) => {
      const { secrets, vault, log, keyReads } = open(
        { 'openai-api-key': found('key-1') },
        { pace: { refreshMs: 1 }, environment: { OPENAI_API_KEY: 'key-0' } },
      );
      await secrets.loaded();
      vault['openai-api-key'] = found(unusable);
      const readsBefore = keyReads();
      await until(() => keyReads() > readsBefore + 3);
      const during = secrets.get('openai-api-key');
      vault['openai-api-key'] = found('key-3');
      await until(() => secrets.get('openai-api-key') !== during);

      expect(during).toBe('key-1');
      expect(secrets.get('openai-api-key')).toBe('key-3');
      expect(log.count('secret unusable')).toBe(1);
      expect(JSON.stringify(log.lines)).toContain('the last usable value');
    },
  );

  it('end their first load within one time limit while the vault does not answer', async () => {
    const { secrets } = open({ 'openai-api-key': 'silent', 'azure-openai-endpoint': 'silent' });

    await secrets.loaded();

    expect(secrets.state()).toEqual({ isFailing: true, lastError: 'timed out' });
    expect(secrets.missingReason('openai-api-key')).toBe('timed out');
  });

  it('are read again with growing delays until the vault first answers', async () => {
    const { secrets, vault, keyReads } = open({ 'openai-api-key': 'away' });
    await secrets.loaded();
    const heard: string[][] = [];
    secrets.onChange((changed) => heard.push([...changed]));
    await until(() => keyReads() >= 4);

    vault['openai-api-key'] = found('key-1');
    await until(() => secrets.get('openai-api-key') !== undefined);

    expect(secrets.state().isFailing).toBe(false);
    expect(heard).toEqual([['openai-api-key']]);
  });

  it('keep their last values while the vault is unavailable, with one log line a minute', async () => {
    const { secrets, vault, log, keyReads, advance } = open(
      { 'openai-api-key': found('key-1') },
      { pace: { refreshMs: 1, failingMs: 1 } },
    );
    await secrets.loaded();
    vault['openai-api-key'] = 'away';
    await until(() => secrets.state().isFailing);
    await until(() => log.lines.length > 0);
    const during = secrets.get('openai-api-key');
    advance(59_999);
    const readsBefore = keyReads();
    await until(() => keyReads() > readsBefore + 3);
    const warnedInFirstMinute = log.count('key vault failed');
    advance(1);
    await until(() => log.count('key vault failed') === 2);

    expect(during).toBe('key-1');
    expect(secrets.sourceOf('openai-api-key')).toBe('key-vault');
    expect(warnedInFirstMinute).toBe(1);
    expect(secrets.state()).toMatchObject({
      isFailing: true,
      lastError: 'server error',
      lastSuccessAt: 1_000_000,
    });
  });

  it('report no change when the version is known', async () => {
    const { secrets, vault, keyReads } = open(
      { 'openai-api-key': found('key-1', 'v1') },
      { pace: { refreshMs: 1 } },
    );
    await secrets.loaded();
    const heard: string[] = [];
    secrets.onChange((changed) => heard.push(...changed));

    await until(() => keyReads() >= 3);
    vault['openai-api-key'] = found('another value', 'v1');
    await until(() => keyReads() >= 6);
    const heardOfSame = heard.length;
    vault['openai-api-key'] = found('key-1', 'v2');
    await until(() => keyReads() >= 10);
    const heardOfSameValue = heard.length;
    vault['openai-api-key'] = found('key-2', 'v3');
    await until(() => heard.length > 0);

    expect({ heardOfSame, heardOfSameValue }).toEqual({ heardOfSame: 0, heardOfSameValue: 0 });
    expect(heard).toEqual(['openai-api-key']);
  });

  it('are missing after the vault disabled them', async () => {
    const { secrets, vault, advance } = open({ 'openai-api-key': found('key-1') });
    await secrets.loaded();

    vault['openai-api-key'] = { kind: 'missing', reason: 'disabled' };
    advance(60_000);
    await secrets.refreshNow();

    expect(secrets.get('openai-api-key')).toBeUndefined();
    expect(secrets.sourceOf('openai-api-key')).toBe('none');
  });
});

describe('U20 secrets after an endpoint refused the key', () => {
  it('are read once for a hundred refused calls, and all of them may retry', async () => {
    const { secrets, vault, keyReads, advance } = open({ 'openai-api-key': found('key-1') });
    await secrets.loaded();
    advance(60_000);
    vault['openai-api-key'] = found('key-2');

    const answers = await Promise.all(Array.from({ length: 100 }, () => secrets.refreshNow()));

    expect(new Set(answers)).toEqual(new Set([true]));
    expect(keyReads()).toBe(2);
    expect(secrets.get('openai-api-key')).toBe('key-2');
  });

  it('let a call retry that used the old key and was refused late', async () => {
    const { secrets, vault, keyReads, advance } = open({ 'openai-api-key': found('key-1') });
    await secrets.loaded();
    advance(60_000);
    vault['openai-api-key'] = found('key-2');
    await secrets.refreshNow();

    advance(DEFAULT_REFRESH_SCHEDULE.forcedGapMs - 1);

    expect(await secrets.refreshNow()).toBe(true);
    expect(keyReads()).toBe(2);
  });

  it('are not read for every request while the key is wrong', async () => {
    const { secrets, keyReads, advance } = open({ 'openai-api-key': found('key-1') });
    await secrets.loaded();
    advance(60_000);

    const answers: boolean[] = [];
    for (let request = 0; request < 10; request += 1) answers.push(await secrets.refreshNow());

    expect(new Set(answers)).toEqual(new Set([false]));
    expect(keyReads()).toBe(2);
    advance(DEFAULT_REFRESH_SCHEDULE.forcedGapMs);
    await secrets.refreshNow();
    expect(keyReads()).toBe(3);
  });

  it('are not read from a failing vault for a minute', async () => {
    const { secrets, vault, keyReads, advance } = open({ 'openai-api-key': found('key-1') });
    await secrets.loaded();
    vault['openai-api-key'] = 'away';
    advance(60_000);
    await secrets.refreshNow();

    for (let second = 0; second < 59; second += 1) {
      advance(1_000);
      await secrets.refreshNow();
    }

    expect(keyReads()).toBe(2);
    advance(1_000);
    await secrets.refreshNow();
    expect(keyReads()).toBe(3);
  });
});
