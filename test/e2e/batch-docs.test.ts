import { readFileSync } from 'node:fs';
import OpenAI, { toFile } from 'openai';
import type { Batch } from 'openai/resources/batches';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PROJECT_ROOT } from '../../dev/project-root.ts';
import { parseJob } from '../../shared/batch/model/job-message.ts';
import { createJobClient, type JobClient } from '../support/batch/job-client.ts';
import { runScript } from '../support/run-script.ts';
import { eventually } from './support/post-chat.ts';
import { startEnvironment, type TestEnvironment } from './support/start-environment.ts';

let environment: TestEnvironment;
let jobs: JobClient;
beforeAll(async () => {
  environment = await startEnvironment({ model: 'dev/instant' });
  jobs = createJobClient(environment.connectionString);
});
afterAll(() => environment.stop());

/** The examples of docs/batch.md in one language. */
function examples(language: string): string[] {
  const page = readFileSync('docs/batch.md', 'utf8');
  const blocks = page.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'));
  return [...blocks].map(([, code = '']) => code);
}

/** Runs code as a user would who copied it into a file. */
function runExample(code: string) {
  const here = code.replaceAll('http://127.0.0.1:7071', environment.url);
  return runScript('--input-type=module', {
    args: ['--eval', here],
    cwd: PROJECT_ROOT,
    env: { AzureWebJobsStorage: environment.connectionString },
  });
}

function finishes(jobId: string): Promise<void> {
  return eventually(`${jobId} is finished`, async () => {
    const job = await jobs.read(jobId);
    return job !== undefined && job.results.size === job.total;
  });
}

describe('the examples of docs/batch.md', () => {
  it('get a batch answered by the OpenAI client', async () => {
    const [example = ''] = examples('js');

    const run = runExample(example);

    expect(await run.ended).toMatchObject({ code: 0 });
    expect(run.stdout()).toContain('"custom_id":"a"');
  });

  it('put a job on the queue that points to a blob', async () => {
    const [, example = ''] = examples('js');

    const run = runExample(example);

    expect([await run.ended, run.stderr()]).toMatchObject([{ code: 0 }, '']);
    await finishes('nightly-1');
  });

  it('hold messages that the service takes, in the shell and in Python', async () => {
    const shell = examples('sh').flatMap((code) => /--content '(.*)'/.exec(code)?.[1] ?? []);
    const python = examples('python').flatMap(
      (code) => /json\.dumps\((\{.*\})\)\)/.exec(code)?.[1] ?? [],
    );

    const parsed = [...shell, ...python].map((message) => parseJob(message));

    expect(parsed.map((one) => one.ok && one.job.jobId)).toEqual(['from-az', 'from-python']);
  });
});

const ENDPOINT = '/v1/chat/completions';
const BODY = { model: 'any', messages: [{ role: 'user', content: 'Hi' }] };
const LINE = JSON.stringify({ custom_id: 'a', method: 'POST', url: ENDPOINT, body: BODY });

async function ended(client: OpenAI, id: string): Promise<Batch> {
  let batch = await client.batches.retrieve(id);
  await eventually(`${id} has ended`, async () => {
    batch = await client.batches.retrieve(id);
    return batch.status === 'completed';
  });
  return batch;
}

describe('the files of an OpenAI client', () => {
  it('F21 F23: are listed and expire when the client says so', async () => {
    const client = new OpenAI({
      baseURL: `${environment.url}/v1`,
      apiKey: 'unused',
      maxRetries: 0,
    });
    const file = await client.files.create({
      file: await toFile(Buffer.from(`${LINE}\n`), '日本語.jsonl'),
      purpose: 'batch',
      expires_after: { anchor: 'created_at', seconds: 7_200 },
    });
    const batch = await client.batches.create({
      input_file_id: file.id,
      endpoint: ENDPOINT,
      completion_window: '24h',
      output_expires_after: { anchor: 'created_at', seconds: 3_600 },
    });
    const { output_file_id: outputId } = await ended(client, batch.id);

    const listed = await client.files.list({ limit: 2 });
    const ids = listed.data.map(({ id }) => id);
    const next = await client.files.list({ limit: 1, after: ids[1] ?? '' });
    const output = await client.files.retrieve(outputId ?? '');

    expect(file).toMatchObject({ filename: '日本語.jsonl', expires_at: file.created_at + 7_200 });
    expect(new Set(ids)).toEqual(new Set([file.id, outputId]));
    expect(listed.has_more).toBe(true);
    expect(next.data.map(({ id }) => id)).not.toContain(file.id);
    expect(output.expires_at).toBeGreaterThan(file.created_at + 3_500);
    await expect(
      client.files.create({
        file: await toFile(Buffer.from('{}'), 'x.jsonl'),
        purpose: 'batch',
        expires_after: { anchor: 'created_at', seconds: 60 },
      }),
    ).rejects.toMatchObject({ status: 400, param: 'expires_after[seconds]' });
  });
});
