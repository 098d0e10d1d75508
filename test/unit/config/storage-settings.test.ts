import { describe, expect, it } from 'vitest';
import { readConfig, storageSettings } from '../../../shared/config/read-config.ts';

const KEY = { OPENAI_API_KEY: 'sk-canary' };
const URIS = {
  AzureWebJobsStorage__blobServiceUri: 'https://a.blob.example',
  AzureWebJobsStorage__queueServiceUri: 'https://a.queue.example',
};

describe('storageSettings', () => {
  it('returns no storage when none is set', () => {
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
    const { settings } = readConfig({
      ...KEY,
      ...URIS,
      AzureWebJobsStorage: 'AccountName=a;AccountKey=Yg==',
    });

    expect(storageSettings(settings)).toEqual({
      kind: 'identity',
      blobUri: 'https://a.blob.example',
      queueUri: 'https://a.queue.example',
    });
  });

  it('F13 derives the addresses from the name of the account, as the platform does', () => {
    const { settings } = readConfig({ ...KEY, AzureWebJobsStorage__accountName: 'myaccount' });

    expect(storageSettings(settings)).toEqual({
      kind: 'identity',
      blobUri: 'https://myaccount.blob.core.windows.net',
      queueUri: 'https://myaccount.queue.core.windows.net',
    });
  });

  it('F13 prefers an address that is set to one that is derived', () => {
    const { settings } = readConfig({
      ...KEY,
      AzureWebJobsStorage__accountName: 'myaccount',
      AzureWebJobsStorage__blobServiceUri: 'https://a.blob.example',
    });

    expect(storageSettings(settings)).toMatchObject({
      blobUri: 'https://a.blob.example',
      queueUri: 'https://myaccount.queue.core.windows.net',
    });
  });

  it('F13 takes a signature that begins with a question mark', () => {
    const endpoints = 'BlobEndpoint=https://a.example;QueueEndpoint=https://b.example';
    const { settings } = readConfig({
      ...KEY,
      AzureWebJobsStorage: `${endpoints};SharedAccessSignature=?sv=1&sig=x%3D`,
    });

    expect(storageSettings(settings)).toEqual({
      kind: 'connectionString',
      connectionString: `${endpoints};SharedAccessSignature=sv=1&sig=x%3D`,
    });
  });

  it.each([
    ['AzureWebJobsStorage', 'foo'],
    ['AzureWebJobsStorage', 'a=b'],
    ['AzureWebJobsStorage', 'AccountName=a'],
    ['AzureWebJobsStorage', 'AccountName=a;AccountKey='],
    ['AzureWebJobsStorage', 'https://a.blob.core.windows.net'],
    ['AzureWebJobsStorage__accountName', 'https://a.blob.core.windows.net'],
    ['AzureWebJobsStorage__accountName', 'My-Account'],
  ])('F13 refuses %s=%s by name, without its value', (name, value) => {
    const start = (): unknown => readConfig({ ...KEY, [name]: value });

    expect(start).toThrow(`${name} must be `);
    expect(start).not.toThrow(value);
  });

  it.each([
    'UseDevelopmentStorage=true',
    'UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://127.0.0.1',
    'DefaultEndpointsProtocol=https;AccountName=a;AccountKey=Yg==;EndpointSuffix=core.windows.net',
    'AccountName=a;AccountKey=Yg==;BlobEndpoint=http://127.0.0.1:1/a;QueueEndpoint=http://127.0.0.1:2/a;',
    'accountname=a;accountkey=Yg==',
  ])('F13 takes %s', (text) => {
    const { settings } = readConfig({ ...KEY, AzureWebJobsStorage: text });

    expect(settings.storageConnection).toBe(text);
  });
});
