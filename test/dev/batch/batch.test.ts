import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { PROJECT_ROOT } from '../../../dev/project-root.ts';
import { runScript } from '../../support/run-script.ts';

const SCRIPT = join(PROJECT_ROOT, 'dev', 'batch.ts');
const NOWHERE =
  'DefaultEndpointsProtocol=http;AccountName=a;AccountKey=YQ==;BlobEndpoint=http://127.0.0.1:1/a;QueueEndpoint=http://127.0.0.1:1/a;';

describe('npm run batch', () => {
  it.each([
    ['no input is named', [], NOWHERE, /^Cannot run a batch as one input file must be named/],
    ['the input is missing', ['/nowhere.jsonl'], NOWHERE, /^Cannot read the items of .*: ENOENT/],
    ['the connection is rubbish', ['IN'], 'rubbish', /^Cannot use 'AzureWebJobsStorage' as/],
    [
      'the storage is away',
      ['IN'],
      NOWHERE,
      /^Cannot reach the storage of files and batches: it must answer in time \(RestError ECONN/,
    ],
  ] as const)('exits with 1 and one line when %s', async (...testCase) => {
    const [, args, storage, message] = testCase;
    const folder = await mkdtemp(join(tmpdir(), 'batch-'));
    await writeFile(join(folder, 'in.jsonl'), '{"custom_id":"a","body":{"message":"x"}}\n');

    const run = runScript(SCRIPT, {
      args: args.map((word) => (word === 'IN' ? join(folder, 'in.jsonl') : word)),
      env: { AzureWebJobsStorage: storage },
    });

    expect(await run.ended).toEqual({ code: 1, signal: null });
    expect(run.stderr()).toMatch(message);
    expect(run.stderr().trimEnd()).not.toContain('\n');
    await rm(folder, { recursive: true, force: true });
  });
});
