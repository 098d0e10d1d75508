import { describe, expect, it } from 'vitest';
import {
  fallbackSecrets,
  parseFallbacks,
  readAzureEndpoint,
  readModelBaseUrl,
} from '../../../shared/config/model-fallbacks.ts';
import { readConfig } from '../../../shared/config/read-config.ts';

const openAi = { name: 'a', baseUrl: 'https://a.example/v1/', model: 'm', apiKey: 'k' };
const azure = { name: 'b', azureEndpoint: 'https://b.openai.azure.com', deployment: 'd' };

describe('MODEL_FALLBACKS', () => {
  it('takes both kinds of endpoint, in their order', () => {
    const fallbacks = parseFallbacks(JSON.stringify([openAi, azure]));

    expect(fallbacks).toEqual([{ ...openAi, baseUrl: 'https://a.example/v1' }, azure]);
  });

  it('names the secrets that it needs', () => {
    const text = JSON.stringify([{ ...azure, apiKeySecret: 'key-b' }, openAi]);

    expect(fallbackSecrets(text)).toEqual(['key-b']);
    expect(fallbackSecrets(undefined)).toEqual([]);
  });

  it.each([
    ['no JSON', 'west'],
    ['no array', JSON.stringify(openAi)],
    ['two of one name', JSON.stringify([openAi, { ...azure, name: 'a' }])],
    ['an unknown field', JSON.stringify([{ ...openAi, modell: 'x' }])],
    ['both kinds in one', JSON.stringify([{ ...openAi, ...azure }])],
    ['a compatible endpoint without a key', JSON.stringify([{ ...openAi, apiKey: undefined }])],
    ['another protocol', JSON.stringify([{ ...openAi, baseUrl: 'file:///etc/passwd' }])],
    ['an address with credentials', JSON.stringify([{ ...openAi, baseUrl: 'https://u:p@a.b' }])],
    ['an address with a query', JSON.stringify([{ ...openAi, baseUrl: 'https://a.b/v1?key=x' }])],
    ['a key with a line feed', JSON.stringify([{ ...openAi, apiKey: 'a\nb' }])],
    [
      'nine of them',
      JSON.stringify(Array.from({ length: 9 }, (_, n) => ({ ...azure, name: `${n}` }))),
    ],
  ])('refuses %s', (_what, text) => {
    expect(parseFallbacks(text)).toBeUndefined();
  });
});

describe('F7 the address of a model endpoint', () => {
  it.each([
    ['https://api.example.com/v1', 'https://api.example.com/v1'],
    ['https://api.example.com/v1/', 'https://api.example.com/v1'],
    ['https://api.example.com/v1/chat/completions', 'https://api.example.com/v1'],
    ['https://api.example.com/v1/chat/completions/', 'https://api.example.com/v1'],
    ['https://api.example.com/v1/responses', 'https://api.example.com/v1'],
    ['https://api.example.com/v1/models', 'https://api.example.com/v1'],
    ['https://api.example.com/v1?key=1', undefined],
  ])('%s is the base URL %s', (text, expected) => {
    expect(readModelBaseUrl(text)).toBe(expected);
  });

  it.each([
    ['https://x.openai.azure.com', 'https://x.openai.azure.com'],
    ['https://x.openai.azure.com/', 'https://x.openai.azure.com'],
    ['https://x.openai.azure.com/openai/v1', 'https://x.openai.azure.com'],
    ['https://x.openai.azure.com/openai/v1/', 'https://x.openai.azure.com'],
    ['https://x.openai.azure.com/openai', 'https://x.openai.azure.com'],
    ['https://x.openai.azure.com/openai/v1/chat/completions', 'https://x.openai.azure.com'],
    ['https://gateway.example.com/azure', 'https://gateway.example.com/azure'],
    ['https://x.openai.azure.com/openai/deployments/chat', undefined],
    ['https://x.openai.azure.com/openai/deployments/chat/chat/completions', undefined],
    ['https://x.openai.azure.com/openai/v1?api-version=1', undefined],
  ])('%s is the Azure resource %s', (text, expected) => {
    expect(readAzureEndpoint(text)).toBe(expected);
  });

  it('is normalised in the settings and in the fallbacks', () => {
    const environment = {
      OPENAI_API_KEY: 'k',
      OPENAI_BASE_URL: 'https://api.example.com/v1/chat/completions',
      MODEL_FALLBACKS: JSON.stringify([
        { name: 'west', azureEndpoint: 'https://west.example/openai/v1', deployment: 'd' },
      ]),
    };

    const { settings } = readConfig(environment);

    expect(settings.openAiBaseUrl).toBe('https://api.example.com/v1');
    expect(parseFallbacks(settings.modelFallbacks ?? '')).toMatchObject([
      { azureEndpoint: 'https://west.example' },
    ]);
  });

  it('is refused by name where it names a deployment', () => {
    const start = (): unknown =>
      readConfig({
        AZURE_OPENAI_ENDPOINT: 'https://x.openai.azure.com/openai/deployments/chat',
        AZURE_OPENAI_DEPLOYMENT: 'chat',
      });

    expect(start).toThrow(/AZURE_OPENAI_ENDPOINT must be the URL of the resource/);
  });
});
