import { describe, expect, it } from 'vitest';
import { fallbackSecrets, parseFallbacks } from '../../../shared/config/model-fallbacks.ts';

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
