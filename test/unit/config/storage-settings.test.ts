import { describe, expect, it } from 'vitest';
import { readSettings } from '../../../shared/config/settings.ts';
import { storageSettings } from '../../../shared/config/storage-settings.ts';

const KEY = { OPENAI_API_KEY: 'sk-canary' };
const URIS = {
  AzureWebJobsStorage__blobServiceUri: 'https://a.blob.example',
  AzureWebJobsStorage__queueServiceUri: 'https://a.queue.example',
};

describe('storageSettings', () => {
  it('knows no storage when none is set', () => {
    expect(storageSettings(readSettings(KEY))).toBeUndefined();
  });

  it('takes a connection string', () => {
    const settings = readSettings({ ...KEY, AzureWebJobsStorage: 'UseDevelopmentStorage=true' });

    expect(storageSettings(settings)).toEqual({
      kind: 'connectionString',
      connectionString: 'UseDevelopmentStorage=true',
    });
  });

  it('prefers the identity to a connection string', () => {
    const settings = readSettings({ ...KEY, ...URIS, AzureWebJobsStorage: 'a=b' });

    expect(storageSettings(settings)).toEqual({
      kind: 'identity',
      blobUri: 'https://a.blob.example',
      queueUri: 'https://a.queue.example',
    });
  });
});
