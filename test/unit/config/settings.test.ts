import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../../shared/config/config-error.ts';
import { listAgentKeys } from '../../../shared/config/agent-keys.ts';
import type { Environment } from '../../../shared/config/read-variables.ts';
import { parseFallbacks } from '../../../shared/config/model-fallbacks.ts';
import { readConfig } from '../../../shared/config/read-config.ts';
import { VARIABLES, type Variable } from '../../../shared/config/variables.ts';

const KEY = { OPENAI_API_KEY: 'sk-canary' };
const ALL = Object.values<Variable>(VARIABLES);

function problemsOf(environment: Environment): readonly string[] {
  try {
    readConfig(environment);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ setting }) => setting);
  }
  return [];
}

describe('settings from the environment', () => {
  it('fills in the defaults when only a key is set', () => {
    const { settings } = readConfig(KEY);

    expect(settings).toMatchObject({
      openAiApiKey: 'sk-canary',
      openAiBaseUrl: undefined,
      telemetry: { logLevel: 'info' },
      limits: {
        maxRequestBytes: 262_144,
        answerDeadlineMs: 60_000,
        streamDeadlineMs: 210_000,
        heartbeatMs: 15_000,
      },
    });
  });

  it('has defaults that are themselves allowed', () => {
    const defaults = ALL.flatMap((setting) =>
      'default' in setting ? [[setting.name, setting.default]] : [],
    );

    expect(problemsOf({ ...KEY, ...Object.fromEntries(defaults) })).toEqual([]);
  });

  it.each(['', ' ', '\t\n'])('treats %j as not set', (blank) => {
    const { settings } = readConfig({
      ...KEY,
      OPENAI_BASE_URL: blank,
      AGENT__BATCH__CONCURRENCY: blank,
    });

    expect(settings).toMatchObject({ openAiBaseUrl: undefined, batch: { concurrency: 8 } });
  });

  it('trims blanks and a trailing line feed', () => {
    const { settings } = readConfig({
      OPENAI_API_KEY: ' sk-canary\n',
      AGENT__LIMITS__HEARTBEAT_MS: ' 50 ',
    });

    expect(settings).toMatchObject({ openAiApiKey: 'sk-canary', limits: { heartbeatMs: 50 } });
  });

  it('names every problem at once, and never a value', () => {
    const environment = {
      OPENAI_API_KEY: '',
      OPENAI_BASE_URL: 'ftp://canary:canary@host',
      AGENT__TELEMETRY__LOG_LEVEL: 'canary',
      AGENT__LIMITS__MAX_REQUEST_BYTES: '-1-canary',
      AGENT__LIMITS__ANSWER_DEADLINE_MS: 'NaN-canary',
      AzureWebJobsStorage__blobServiceUri: 'https://canary.blob',
    };

    expect(problemsOf(environment).toSorted()).toEqual([
      'AGENT__LIMITS__ANSWER_DEADLINE_MS',
      'AGENT__LIMITS__MAX_REQUEST_BYTES',
      'AGENT__TELEMETRY__LOG_LEVEL',
      'AzureWebJobsStorage__queueServiceUri',
      'OPENAI_API_KEY',
      'OPENAI_BASE_URL',
    ]);
    expect(() => readConfig(environment)).toThrow(/^Cannot start with these settings: /);
    expect(() => readConfig(environment)).not.toThrow(/canary/);
  });

  it.each([
    'NaN',
    'Infinity',
    '-1',
    '0',
    '1.5',
    '1e3',
    '0x10',
    '+5',
    '5ms',
    '٣',
    '9'.repeat(400),
    '9007199254740993',
    'true',
    'null',
    '[1]',
    '1 2',
    '1,000',
  ])('refuses %j as a number', (text) => {
    expect(problemsOf({ ...KEY, AGENT__BATCH__CONCURRENCY: text })).toEqual([
      'AGENT__BATCH__CONCURRENCY',
    ]);
  });

  it.each(['trace', 'INFO', '__proto__', 'constructor', 'toString'])(
    'refuses %s as a log level',
    (text) => {
      expect(problemsOf({ ...KEY, AGENT__TELEMETRY__LOG_LEVEL: text })).toEqual([
        'AGENT__TELEMETRY__LOG_LEVEL',
      ]);
    },
  );

  it.each([
    'host.example',
    'ftp://host',
    'file:///etc/passwd',
    'javascript:alert(1)',
    'https://',
    'https://user:pass@host',
    'https://user@host',
    'https://host/?key=1',
    'https://host/?',
    'https://host/#a',
    'https://ho st',
    'https://ho\nst',
    'https://host:99999',
  ])('refuses %j as a URL', (text) => {
    expect(problemsOf({ ...KEY, OPENAI_BASE_URL: text })).toEqual(['OPENAI_BASE_URL']);
  });

  it.each([
    ['https://host/v1/', 'https://host/v1'],
    ['HTTPS://Host.Example', 'https://host.example'],
    ['http://127.0.0.1:8080/v1//', 'http://127.0.0.1:8080/v1'],
    ['https://@host', 'https://host'],
    ['https:host', 'https://host'],
  ])('uses the URL %s as it was understood', (text, url) => {
    expect(readConfig({ ...KEY, OPENAI_BASE_URL: text }).settings.openAiBaseUrl).toBe(url);
  });

  it.each([
    ['https://host.example/v1', 'https://host.example/v1'],
    ['https://host.example/v1/chat/completions', 'https://host.example/v1'],
    ['https://host.example/v1/Chat/Completions/', 'https://host.example/v1'],
    ['https://host.example/v1/responses', 'https://host.example/v1'],
    ['https://host.example/api/models', 'https://host.example/api'],
    ['https://host.example/completions/v1', 'https://host.example/completions/v1'],
    ['https://api.openai.com', 'https://api.openai.com/v1'],
    ['https://api.openai.com/v1/chat/completions', 'https://api.openai.com/v1'],
    ['https://x.openai.azure.com/openai/v1/', 'https://x.openai.azure.com/openai/v1'],
  ])('F7: OPENAI_BASE_URL=%s is the base URL %s', (text, url) => {
    const fallbacks = [{ name: 'a', baseUrl: text, model: 'm', apiKey: 'k' }];

    expect(readConfig({ ...KEY, OPENAI_BASE_URL: text }).settings.openAiBaseUrl).toBe(url);
    expect(parseFallbacks(JSON.stringify(fallbacks))).toMatchObject([{ baseUrl: url }]);
  });

  it.each([
    ['https://x.openai.azure.com', 'https://x.openai.azure.com'],
    ['https://x.openai.azure.com/', 'https://x.openai.azure.com'],
    ['https://x.openai.azure.com/openai', 'https://x.openai.azure.com'],
    ['https://x.openai.azure.com/openai/v1', 'https://x.openai.azure.com'],
    ['https://x.openai.azure.com/OpenAI/v1/', 'https://x.openai.azure.com'],
    ['https://x.openai.azure.com/openai/v1/chat/completions', 'https://x.openai.azure.com'],
    ['https://gateway.example/models-of-x/openai/v1', 'https://gateway.example/models-of-x'],
    ['https://gateway.example/openai-x', 'https://gateway.example/openai-x'],
  ])('F7: AZURE_OPENAI_ENDPOINT=%s is the resource %s', (text, url) => {
    const environment = { AZURE_OPENAI_ENDPOINT: text, AZURE_OPENAI_DEPLOYMENT: 'd' };
    const fallbacks = [{ name: 'a', azureEndpoint: text, deployment: 'd' }];

    expect(readConfig(environment).settings.azureOpenAiEndpoint).toBe(url);
    expect(parseFallbacks(JSON.stringify(fallbacks))).toMatchObject([{ azureEndpoint: url }]);
  });

  it.each([
    'https://x.openai.azure.com/openai/v1/chat/completions?api-version=2024-10-21',
    'https://x.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21',
  ])('F7: refuses %s by the name of its setting', (url) => {
    expect(problemsOf({ AZURE_OPENAI_ENDPOINT: url, AZURE_OPENAI_DEPLOYMENT: 'd' })).toEqual([
      'AZURE_OPENAI_ENDPOINT',
    ]);
    expect(problemsOf({ ...KEY, OPENAI_BASE_URL: url })).toEqual(['OPENAI_BASE_URL']);
  });

  it.each(['sk-a\nb', 'sk-a\r\nx: y', 'sk-\0', 'sk-ä', 'sk-\u202e', 'x'.repeat(4_097)])(
    'refuses a key that no header can carry (%#)',
    (key) => {
      expect(problemsOf({ OPENAI_API_KEY: key })).toEqual(['OPENAI_API_KEY']);
    },
  );

  it('ignores names of the prototype', () => {
    const polluted = Object.create({ OPENAI_API_KEY: 'sk-inherited' }) as Environment;

    expect(problemsOf(polluted)).toEqual(['OPENAI_API_KEY']);
    expect(readConfig({ ...KEY, ['__proto__']: 'x', constructor: 'y' }).settings).toMatchObject({
      openAiApiKey: 'sk-canary',
    });
  });

  it.each([
    [{}, ['OPENAI_API_KEY']],
    [{ AZURE_OPENAI_ENDPOINT: 'https://a.example' }, ['AZURE_OPENAI_DEPLOYMENT']],
    [{ AZURE_OPENAI_ENDPOINT: 'https://a.example', AZURE_OPENAI_DEPLOYMENT: 'd' }, []],
    [{ AZURE_OPENAI_ENDPOINT: 'nonsense' }, ['AZURE_OPENAI_ENDPOINT', 'AZURE_OPENAI_DEPLOYMENT']],
    [
      { AZURE_OPENAI_ENDPOINT: 'https://a.example', OPENAI_BASE_URL: 'https://b.example' },
      ['OPENAI_BASE_URL', 'AZURE_OPENAI_DEPLOYMENT'],
    ],
    [
      { ...KEY, AzureWebJobsStorage__queueServiceUri: 'https://q.example' },
      ['AzureWebJobsStorage__blobServiceUri'],
    ],
  ])('names the settings of %j that contradict each other', (environment, problems) => {
    expect(problemsOf(environment)).toEqual(problems);
  });

  it('throws nothing but ConfigErrors without values, whatever the environment holds', () => {
    const names = [...ALL.map(({ name }) => name), ...listAgentKeys().map((key) => key.variable)];
    const environments = fc.dictionary(
      fc.constantFrom(...names),
      fc.string({ unit: 'binary' }).map((text) => `canary${text}`),
    );

    fc.assert(
      fc.property(environments, (environment) => {
        try {
          readConfig(environment);
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError);
          expect(String(error)).not.toContain('canary');
        }
      }),
    );
  });
});

describe('the table of variables', () => {
  it('names each variable once and says what it is for', () => {
    const names = ALL.map(({ name }) => name);

    expect(new Set(names).size).toBe(names.length);
    for (const { name, purpose } of ALL) {
      expect(name).toMatch(/^[A-Za-z][A-Za-z0-9_]+$/);
      expect(purpose).toMatch(/^[A-Z].{10,}\.$/);
    }
  });

  it('gives no secret a default', () => {
    expect(ALL.filter((setting) => setting.secret === true && 'default' in setting)).toEqual([]);
  });
});
