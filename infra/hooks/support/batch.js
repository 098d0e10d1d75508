import { expect, jsonOf } from './call.js';
import { lacksBearerToken } from './checks.js';
import { delay, seconds } from './terminal.js';

/** A poll counts as a request of the caller, and a batch of one item takes seconds. */
const POLL_SECONDS = 2.5;

/** One item in, one result out. A deployment succeeds even if the host found no trigger. */
export async function checkBatch(caller, { withinMs }) {
  if (lacksBearerToken()) return 'not checked: Entra ID is required, set SMOKE_BEARER_TOKEN';
  const options = { customId: `smoke-${crypto.randomUUID()}`, deadline: Date.now() + withinMs };
  const line = await runItem(caller, options);
  expect(line !== undefined, `no result within ${withinMs / 1000} s`);
  expect(
    line.response?.status_code === 200,
    `the item failed: ${line.error?.code ?? 'no response'}`,
  );
  return undefined;
}

async function runItem(caller, { customId, deadline }) {
  const models = jsonOf(await caller.get('/v1/models'));
  const question = `Repeat this id: ${customId}`;
  const body = { model: models?.data?.[0]?.id, messages: [{ role: 'user', content: question }] };
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
  const batch = await finished(caller, { id: jsonOf(created)?.id, deadline });
  if (batch === undefined) return undefined;
  const outputId = batch.output_file_id ?? batch.error_file_id;
  expect(typeof outputId === 'string', `the batch ended as ${batch.status} without a result`);
  const output = await caller.get(`/v1/files/${outputId}/content`);
  return lineOf(output.text, customId);
}

async function finished(caller, { id, deadline }) {
  const pollMs = seconds('SMOKE_BATCH_POLL_SECONDS', POLL_SECONDS) * 1000;
  while (Date.now() < deadline) {
    const response = await caller.get(`/v1/batches/${id}`);
    const batch = jsonOf(response);
    if (['completed', 'failed', 'expired', 'cancelled'].includes(batch?.status)) return batch;
    await delay(Math.max(pollMs, retryAfterMs(response)));
  }
  return undefined;
}

/** How long a response asks to wait; 0 if it does not. */
function retryAfterMs({ status, headers }) {
  if (status !== 429 && status !== 503) return 0;
  const seconds = Number(headers.get('retry-after') ?? 0);
  return Number.isFinite(seconds) ? seconds * 1000 : 0;
}

function lineOf(text, customId) {
  return text
    .split('\n')
    .map((line) => jsonOf({ text: line }))
    .find((line) => line?.custom_id === customId);
}
