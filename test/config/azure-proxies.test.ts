import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PROJECT_ROOT } from '../../dev/project-root.ts';
import { startStorageEnvironment } from '../support/batch/storage-environment.ts';
import { runScript } from '../support/run-script.ts';

/** Starts the service, exports telemetry and calls storage. The proxy refuses what reaches it. */
const SCRIPT = `
const { getService, closeService } = await import('./shared/composition-root.ts');
const service = await getService();
service.telemetry.info('started');
const batch = await service.batch();
const ping = await batch.store.ping(AbortSignal.timeout(5_000)).then(() => 'stored', () => 'refused');
const owner = 'o';
const input = { owner, inputFileId: 'file-' + '0'.repeat(32), endpoint: '/v1/chat/completions' };
await batch.batches.create({ ...input, metadata: null }).catch(() => undefined);
console.log('storage: ' + ping);
await closeService();
process.exit(0);
`;
const MODEL = { OPENAI_BASE_URL: 'https://model.example/v1', OPENAI_MODEL: 'm' };
const ID = '11111111-1111-1111-1111-111111111111';
const BY_IDENTITY = {
  ...MODEL,
  AZURE_KEY_VAULT_URL: 'https://kv.vault.azure.net',
  AzureWebJobsStorage__accountName: 'acct',
  AZURE_TENANT_ID: ID,
  AZURE_CLIENT_ID: ID,
  AZURE_CLIENT_SECRET: 'secret',
  APPLICATIONINSIGHTS_CONNECTION_STRING: `InstrumentationKey=${ID};IngestionEndpoint=https://ingest.example/`,
};
const BY_KEY = {
  ...MODEL,
  OPENAI_API_KEY: 'k',
  AzureWebJobsStorage:
    'DefaultEndpointsProtocol=https;AccountName=acct;AccountKey=a2V5;EndpointSuffix=storage.invalid',
};

/** The exporter asks it for switches of its own, at a random time after its start. */
const CONTROL_PLANE = 'CONNECT settings.sdk.monitor.azure.com:443';

let requests: string[] = [];
const proxy = createServer(({ method, url }, response) => {
  requests.push(`${method} ${url}`);
  response.writeHead(502).end();
});
proxy.on('connect', ({ url }, socket) => {
  requests.push(`CONNECT ${url}`);
  socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
});
let proxyUrl: string;

beforeAll(async () => {
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  proxyUrl = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
});
afterAll(() => void proxy.close());

async function targetsWith(env: Readonly<Record<string, string>>) {
  requests = [];
  const args = ['--eval', SCRIPT];
  const run = runScript('--input-type=module', { args, cwd: PROJECT_ROOT, env });
  await run.ended;
  const storage = /storage: (\w+)/.exec(run.stdout())?.[1];
  return { storage, targets: [...new Set(requests)].toSorted((a, b) => (a < b ? -1 : 1)) };
}

describe('F9: the clients of the Azure SDK behind a proxy', () => {
  it('reach Key Vault, the identity service and Application Insights through it', async () => {
    const { targets } = await targetsWith({ ...BY_IDENTITY, HTTPS_PROXY: proxyUrl });

    expect(targets.filter((target) => target !== CONTROL_PLANE)).toEqual([
      'CONNECT ingest.example:443',
      'CONNECT kv.vault.azure.net:443',
      'CONNECT login.microsoftonline.com:443',
    ]);
  });

  it('reach storage through it, by the lower case name and without a scheme too', async () => {
    const bare = proxyUrl.slice('http://'.length);

    const { targets } = await targetsWith({ ...BY_KEY, all_proxy: bare });

    expect(targets).toEqual(['CONNECT acct.blob.storage.invalid:443']);
  });

  it('do not use it for what NO_PROXY lists, a domain without a dot included', async () => {
    const no_proxy = 'storage.invalid';

    const { targets } = await targetsWith({ ...BY_KEY, HTTPS_PROXY: proxyUrl, no_proxy });

    expect(targets).toEqual([]);
  });

  it('never use it for loopback', async () => {
    const environment = await startStorageEnvironment();
    const AzureWebJobsStorage = environment.connectionString;
    const all = { HTTP_PROXY: proxyUrl, HTTPS_PROXY: proxyUrl, ALL_PROXY: proxyUrl };

    const seen = await targetsWith({ ...BY_KEY, ...all, AzureWebJobsStorage });
    await environment.stop();

    expect(seen).toEqual({ storage: 'stored', targets: [] });
  });
});
