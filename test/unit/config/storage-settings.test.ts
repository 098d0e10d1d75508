import { describe, expect, it } from 'vitest';
import { readConfig, storageSettings } from '../../../shared/config/read-config.ts';

const KEY = { OPENAI_API_KEY: 'sk-canary' };
const URIS = {
  AzureWebJobsStorage__blobServiceUri: 'https://a.blob.example',
  AzureWebJobsStorage__queueServiceUri: 'https://a.queue.example',
};

describe('storageSettings', () => {
  it('knows no storage when none is set', () => {
    expect(storageSettings(readConfig(KEY).settings)).toBeUndefined();
  });

  it('takes a connection string', () => {
    const { settings } = readConfig({ ...KEY, AzureWebJobsStorage: 'UseDevelopmentStorage=true' });

    expect(storageSettings(settings)).toEqual({
      kind: 'connectionString',
      connectionString: 'UseDevelopmentStorage=true',
    });
  });

  it('prefers the identity to a connection string', () => {
    const { settings } = readConfig({ ...KEY, ...URIS, AzureWebJobsStorage: 'a=b' });

    expect(storageSettings(settings)).toEqual({
      kind: 'identity',
      blobUri: 'https://a.blob.example',
      queueUri: 'https://a.queue.example',
    });
  });
});
