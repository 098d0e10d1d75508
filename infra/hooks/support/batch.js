import { expect, jsonOf } from './call.js';
import { isOutOfReach } from './checks.js';
import { pause, required, setting } from './terminal.js';

const POLL_MS = 500;

/** One item in, one result out. Deploying says success even where no trigger was ever indexed. */
export async function checkBatch(caller, { withinMs }) {
  if (isOutOfReach()) return 'not checked: set SMOKE_BEARER_TOKEN, as Entra ID is required';
  const round = { customId: `smoke-${crypto.randomUUID()}`, giveUpAt: Date.now() + withinMs };
  const { status } = await caller.get('/v1/batches?limit=1');
  const line = status === 404 ? await byQueue(round) : await byHttp(caller, round);
  expect(line !== undefined, `no result within ${withinMs / 1000} s`);
  expect(line.response?.status_code === 200, `the item failed: ${line.error?.code ?? 'no answer'}`);
  return undefined;
}

async function byHttp(caller, { customId, giveUpAt }) {
  const models = jsonOf(await caller.get('/v1/models'));
  const body = { model: models?.data?.[0]?.id, messages: [{ role: 'user', content: 'Hello' }] };
  const item = { custom_id: customId, method: 'POST', url: '/v1/chat/completions', body };
  const form = new FormData();
  form.set('purpose', 'batch');
  form.set('file', new Blob([`${JSON.stringify(item)}\n`]), 'smoke.jsonl');
  const file = await caller.post('/v1/files', form);
  expect(file.status < 300, `POST /v1/files answered ${file.status}`);
  const created = await caller.post('/v1/batches', {
    input_file_id: jsonOf(file)?.id,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
  });
  expect(created.status < 300, `POST /v1/batches answered ${created.status}`);
  const batch = await finished(caller, { id: jsonOf(created)?.id, giveUpAt });
  if (batch === undefined) return undefined;
  const outputId = batch.output_file_id ?? batch.error_file_id;
  expect(typeof outputId === 'string', `the batch ended as ${batch.status} without a result`);
  const output = await caller.get(`/v1/files/${outputId}/content`);
  return lineOf(output.text, customId);
}

async function finished(caller, { id, giveUpAt }) {
  while (Date.now() < giveUpAt) {
    const batch = jsonOf(await caller.get(`/v1/batches/${id}`));
    if (['completed', 'failed', 'expired', 'cancelled'].includes(batch?.status)) return batch;
    await pause(POLL_MS);
  }
  return undefined;
}

/** Straight into the queue and out of the results, with the storage rights of whoever deploys. */
async function byQueue({ customId, giveUpAt }) {
  const { queue, results } = await openStorage();
  const items = [{ custom_id: customId, body: { message: 'Hello' } }];
  await queue.sendMessage(JSON.stringify({ v: 1, jobId: customId, items }));
  while (Date.now() < giveUpAt) {
    for await (const { name } of results.listBlobsFlat({ prefix: customId })) {
      const content = await results.getBlobClient(name).downloadToBuffer();
      const line = lineOf(content.toString('utf8'), customId);
      if (line !== undefined) return line;
    }
    await pause(POLL_MS);
  }
  return undefined;
}

async function openStorage() {
  const [{ QueueClient }, { ContainerClient }] = await Promise.all([
    import('@azure/storage-queue'),
    import('@azure/storage-blob'),
  ]);
  const connection = setting('SMOKE_STORAGE_CONNECTION');
  if (connection !== undefined) {
    return {
      queue: new QueueClient(connection, 'batch-jobs'),
      results: new ContainerClient(connection, 'batch-results'),
    };
  }
  const { AzureDeveloperCliCredential } = await import('@azure/identity');
  const account = required('AZURE_STORAGE_ACCOUNT');
  const credential = new AzureDeveloperCliCredential();
  return {
    queue: new QueueClient(`https://${account}.queue.core.windows.net/batch-jobs`, credential),
    results: new ContainerClient(
      `https://${account}.blob.core.windows.net/batch-results`,
      credential,
    ),
  };
}

/** The result of an item, wherever it stands in a file of lines. */
function lineOf(text, customId) {
  return text
    .split('\n')
    .map((line) => jsonOf({ text: line }))
    .map((entry) => entry?.line ?? entry)
    .find((entry) => entry?.custom_id === customId && (entry.response ?? entry.error));
}
