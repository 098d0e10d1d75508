import { afterEach, describe, expect, it } from 'vitest';
import {
  createServiceTelemetry,
  type ServiceTelemetry,
} from '../../shared/composition-root/telemetry.ts';
import { readConfig } from '../../shared/config/read-config.ts';
import type { Secrets } from '../../shared/secrets/secrets.ts';
import { eventually } from '../e2e/support/post-chat.ts';
import { startIngestion, type Ingestion } from '../support/ingestion.ts';

const ENVIRONMENT = { OPENAI_API_KEY: 'environment-canary' };

let ingestion: Ingestion | undefined;
let opened: ServiceTelemetry | undefined;
afterEach(async () => {
  await opened?.close();
  await ingestion?.close();
});

/** A vault that answers later. */
function createLateSecrets() {
  const values = new Map<string, string>();
  const listeners: ((changed: readonly string[]) => void)[] = [];
  const secrets: Secrets = {
    get: (name) => values.get(name),
    sourceOf: (name) => (values.has(name) ? 'key-vault' : 'none'),
    missingReason: () => undefined,
    loaded: async () => undefined,
    refreshNow: async () => false,
    onChange: (listener) => {
      listeners.push(listener);
      return () => undefined;
    },
    state: () => ({ isFailing: false }),
    close: () => undefined,
  };
  function set(name: string, value: string): void {
    values.set(name, value);
    for (const listener of listeners) listener([name]);
  }
  return { secrets, set };
}

function open(transport: Ingestion['transport'] | undefined) {
  process.env['APPLICATION_INSIGHTS_NO_STATSBEAT'] = 'true';
  const lines: string[] = [];
  opened = createServiceTelemetry({
    environment: ENVIRONMENT,
    settings: readConfig(ENVIRONMENT).settings,
    clock: { now: () => Date.now() },
    credential: () => Promise.reject(new Error('no identity here')),
    writeLog: (line) => void lines.push(line),
    transport,
  });
  return { opened, lines };
}

describe('createServiceTelemetry', () => {
  it('hides the secrets of the environment from the start', () => {
    const { opened, lines } = open(undefined);

    opened.telemetry.info('m', { cause: 'got environment-canary' });

    expect(lines.join()).toContain('got [secret]');
  });

  it('hides a replaced secret and its successor', async () => {
    const { opened, lines } = open(undefined);
    const { secrets, set } = createLateSecrets();
    await opened.start(secrets);

    set('openai-api-key', 'first-canary');
    set('openai-api-key', 'second-canary');
    opened.telemetry.info('m', { cause: 'first-canary second-canary environment-canary' });

    expect(lines.join()).not.toContain('canary');
  });

  it('exports as soon as the vault has the connection string, and prints again after the end', async () => {
    ingestion = await startIngestion();
    const { opened, lines } = open(ingestion.transport);
    const { secrets, set } = createLateSecrets();
    await opened.start(secrets);

    opened.telemetry.info('before');
    set('app-insights-connection-string', ingestion.connectionString);
    await eventually('lines are not printed any more', () => {
      const printed = lines.length;
      opened.telemetry.info('meanwhile');
      return lines.length === printed;
    });
    await opened.close();
    opened.telemetry.info('afterwards');

    const sent = ingestion.of('MessageData').map(({ data }) => data.baseData.message);
    expect(sent).toEqual(['meanwhile']);
    expect(lines.join()).toContain('before');
    expect(lines.at(-1)).toContain('afterwards');
  });
});
