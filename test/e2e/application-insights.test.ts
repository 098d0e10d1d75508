import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startIngestion, type Ingestion } from '../support/ingestion.ts';
import { startLoopbackVault, type LoopbackVault } from '../support/loopback-vault.ts';
import { createSelfSignedCertificate } from '../support/self-signed-certificate.ts';
import { createJobClient } from '../support/batch/job-client.ts';
import { eventually, postChat } from './support/post-chat.ts';
import { startEnvironment, type TestEnvironment } from './support/start-environment.ts';

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';

let folder: string;
let ingestion: Ingestion;
let platform: LoopbackVault;
let environment: TestEnvironment;
beforeAll(async () => {
  const tls = createSelfSignedCertificate('localhost');
  folder = await mkdtemp(join(tmpdir(), 'ingestion-'));
  await writeFile(join(folder, 'authority.pem'), tls.cert);
  ingestion = await startIngestion({ tls });
  // Only for the identity that it gives.
  platform = await startLoopbackVault({});
  environment = await startEnvironment({
    settings: {
      APPLICATIONINSIGHTS_CONNECTION_STRING: ingestion.connectionString,
      APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=client;Authorization=AAD',
      AZURE_CLIENT_ID: 'client',
      AZURE_TOKEN_CREDENTIALS: 'ManagedIdentityCredential',
      ...platform.identity,
      NODE_EXTRA_CA_CERTS: join(folder, 'authority.pem'),
      OPENAI_API_KEY: 'key-canary-of-the-model',
    },
  });
});
afterAll(async () => {
  await Promise.all([ingestion.close(), platform.close()]);
  await rm(folder, { recursive: true });
});

describe('the built package with Application Insights that takes no keys', () => {
  it('sends the whole trace, its lines and its metrics by the time the host has stopped', async () => {
    const answered = await postChat(
      environment.url,
      { message: 'prompt-canary' },
      { headers: { traceparent: `00-${TRACE_ID}-b7ad6b7169203331-01` } },
    );
    await answered.text();
    const items = [{ custom_id: 'custom-canary', body: { message: 'item-canary' } }];
    const jobs = createJobClient(environment.connectionString);
    await jobs.submit({ v: 1, jobId: 'audited', items });
    await eventually(
      'the item has its result',
      async () => (await jobs.read('audited'))?.results.size === 1,
    );
    await environment.stop();

    expect(answered.status).toBe(200);
    expect(answered.headers.get('traceparent')).toContain(TRACE_ID);
    const ofTrace = ingestion.envelopes.filter(({ tags }) => tags['ai.operation.id'] === TRACE_ID);
    const names = ofTrace.map(({ data }) => data.baseData.name ?? data.baseData.message);
    expect(names).toEqual(
      expect.arrayContaining([
        'POST /api/chat',
        'invoke_agent agent',
        'chat development-model',
        'POST /v1/chat/completions',
        'request answered',
      ]),
    );
    expect(ingestion.of('MetricData')).not.toEqual([]);
    const audits = ingestion.of('EventData').map(({ data }) => data.baseData);
    expect(audits.map(({ name }) => name)).toEqual(['audit', 'audit']);
    expect(audits.map(({ properties }) => properties)).toMatchObject([
      {
        caller: expect.stringMatching(/^[\w-]{12}$/),
        action: 'POST /api/chat',
        outcome: 'ok',
        model: 'development-model',
      },
      { caller: 'none', action: 'batch item', outcome: 'ok', batchId: 'audited' },
    ]);
    expect(new Set(ingestion.authorizations)).toEqual(new Set(['Bearer loopback-token']));
    expect(JSON.stringify(ingestion.envelopes)).not.toContain('canary');
    expect(environment.log.join('\n')).not.toContain('canary');
  });
});
