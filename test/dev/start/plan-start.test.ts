import { describe, expect, it } from 'vitest';
import { planStart, withModel } from '../../../dev/start/plan-start.ts';
import type { StartInputs } from '../../../dev/start/plan-start.ts';

const CONNECTION = 'DefaultEndpointsProtocol=https;AccountName=real;AccountKey=a2V5';

describe('planStart', () => {
  it('brings everything itself when nothing is configured', () => {
    expect(plan()).toMatchObject({
      port: 7071,
      enableAuth: false,
      storage: 'own',
      storageFolder: undefined,
      model: 'development',
    });
  });

  it('lets a flag win over the shell, and the shell over local.settings.json', () => {
    const localSettings = { PORT: '1', OPENAI_MODEL: 'file', ONLY_FILE: 'kept' };
    const environment = { PORT: '2', OPENAI_MODEL: 'shell' };

    const planned = plan({ localSettings, environment, argv: ['--port', '3'] });

    expect(plan({ localSettings }).port).toBe(1);
    expect(plan({ localSettings, environment }).port).toBe(2);
    expect(planned.port).toBe(3);
    expect(planned.settings).toMatchObject({ OPENAI_MODEL: 'shell', ONLY_FILE: 'kept' });
  });

  it('gives the app what the shell has, without the noise of npm', () => {
    const environment = {
      HOME: '/home/me',
      npm_config_cache: 'x',
      NPM_TOKEN: 't',
      GONE: undefined,
    };

    expect(plan({ environment }).settings).toEqual({ HOME: '/home/me' });
  });

  it.each([
    ['a base URL', { OPENAI_BASE_URL: 'http://127.0.0.1:1/v1', OPENAI_API_KEY: 'k' }],
    ['a key alone', { OPENAI_API_KEY: 'k' }],
    ['a vault', { AZURE_KEY_VAULT_URL: 'https://v.vault.azure.net' }],
    ['Azure', { AZURE_OPENAI_ENDPOINT: 'https://x.test', AZURE_OPENAI_DEPLOYMENT: 'd' }],
  ])('leaves the development model away when %s is configured', (_case, environment) => {
    const planned = plan({ environment });

    expect(planned.model).toBe('given');
    expect(withModel(planned, undefined)).toEqual(environment);
  });

  it('takes the empty values of the example file as not set', () => {
    const localSettings = { OPENAI_API_KEY: '', OPENAI_MODEL: '', AzureWebJobsStorage: '' };

    const planned = plan({ localSettings });

    expect(planned).toMatchObject({ model: 'development', storage: 'own' });
    expect(withModel(planned, 'http://127.0.0.1:5/v1')).toMatchObject({
      OPENAI_BASE_URL: 'http://127.0.0.1:5/v1',
      OPENAI_API_KEY: 'development',
      OPENAI_MODEL: 'development-model',
    });
  });

  it('keeps a chosen model name, which selects a scripted fault', () => {
    const planned = plan({ environment: { OPENAI_MODEL: 'dev/429-then-ok' } });

    expect(planned.model).toBe('development');
    expect(withModel(planned, 'http://x/v1')['OPENAI_MODEL']).toBe('dev/429-then-ok');
  });

  it.each([
    ['a connection string', { AzureWebJobsStorage: CONNECTION }, 'given'],
    [
      'an identity',
      {
        AzureWebJobsStorage__blobServiceUri: 'https://b.test',
        AzureWebJobsStorage__queueServiceUri: 'https://q.test',
      },
      'given',
    ],
    [
      'the shortcut for an emulator',
      { AzureWebJobsStorage: 'UseDevelopmentStorage=true' },
      'emulator',
    ],
  ])('uses the storage of %s', (_case, environment, storage) => {
    expect(plan({ environment }).storage).toBe(storage);
  });

  it('starts its own storage if a folder is given', () => {
    const environment = { AzureWebJobsStorage: 'UseDevelopmentStorage=true' };

    expect(plan({ environment, argv: ['--storage', './kept'] })).toMatchObject({
      storage: 'own',
      storageFolder: './kept',
    });
  });

  it.each([
    ['a port that is no number', { environment: { PORT: '70x' } }, "'PORT' must be a whole number"],
    ['a port that is too large', { argv: ['--port', '65536'] }, "'--port' must be a whole number"],
    ['an unknown flag', { argv: ['--prot', '1'] }, "Unknown option '--prot'"],
    ['a flag without its value', { argv: ['--port'] }, '--port'],
    ['a wrong setting', { environment: { OPENAI_BASE_URL: 'nowhere' } }, 'OPENAI_BASE_URL must be'],
    [
      'a deployment of nowhere',
      { environment: { AZURE_OPENAI_DEPLOYMENT: 'd' } },
      'AZURE_OPENAI_ENDPOINT',
    ],
    [
      'two storages',
      { argv: ['--storage', 'x'], environment: { AzureWebJobsStorage: CONNECTION } },
      "'--storage' must not be combined",
    ],
  ])('refuses %s in one line', (_case, inputs, message) => {
    expect(() => plan(inputs)).toThrow(message);
    expect(() => plan(inputs)).not.toThrow(/\n/);
  });

  it('names every mistake of agent.toml and of the environment at once, and no value', () => {
    const agentToml = '[limits]\nheartbeet_ms = 1\nanswer_deadline_ms = 77777777\n';
    const environment = { AGENT__BATCH__CONCURRENCY: 'canary', OPENAI_BASE_URL: 'canary' };

    expect(() => plan({ agentToml, environment })).toThrow(
      /agent\.toml line 2: limits\.heartbeet_ms must be a known key; the nearest is limits\.heartbeat_ms/,
    );
    expect(() => plan({ agentToml, environment })).toThrow(
      /OPENAI_BASE_URL.*AGENT__BATCH__CONCURRENCY/,
    );
    expect(() => plan({ agentToml, environment })).toThrow(
      /^(?!.*(?:canary|7777)).*line 3: limits\.answer_deadline_ms/,
    );
  });

  it('leaves the model to the vault where one is named', () => {
    const environment = { AZURE_KEY_VAULT_URL: 'https://dev.vault.azure.net' };

    expect(plan({ environment }).model).toBe('given');
  });
});

function plan(inputs: Partial<StartInputs> = {}) {
  return planStart({ argv: [], environment: {}, localSettings: {}, ...inputs });
}
