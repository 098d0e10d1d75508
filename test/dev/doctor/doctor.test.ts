import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CHECKLIST, SECTIONS } from '../../../dev/doctor.ts';
import { at, inspect, proven } from '../../../dev/doctor/box.ts';
import { runDoctor, summarise, toMarkdown, toTable } from '../../../dev/doctor/report.ts';
import { findSecrets } from '../../../dev/doctor/source-checks.ts';
import { runScript } from '../../support/run-script.ts';

const BOXES = 138;
/** How many boxes the code itself must prove. */
const LEAST_PASSING = 100;

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'doctor-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

describe('the boxes', () => {
  it('are 138, each once and in order', () => {
    const numbers = SECTIONS.flatMap(({ boxes }) => boxes.map(({ number }) => number));

    expect(numbers).toEqual(Array.from({ length: BOXES }, (_, index) => index + 1));
  });

  it('hold in this project', async () => {
    const results = await runDoctor(SECTIONS);

    expect(results.filter(({ state }) => state === 'fail')).toEqual([]);
    expect(results.filter(({ state }) => state === 'pass').length).toBeGreaterThan(LEAST_PASSING);
  });

  it('are what docs/checklist.md shows; `npm run doctor -- --markdown` writes it', async () => {
    const page = toMarkdown(await runDoctor(SECTIONS));

    expect(page).toBe(await readFile(CHECKLIST, 'utf8'));
  });
});

describe('a box', () => {
  const box = proven(1, 'Not root', { places: [at('Dockerfile', /^USER 10001$/m)] });

  it('passes with its place as evidence', async () => {
    await writeFile(join(root, 'Dockerfile'), 'FROM x\nUSER 10001\n');

    expect(inspect(box, root)).toEqual({ state: 'pass', evidence: '`Dockerfile`' });
  });

  it.each([
    ['the file is missing', undefined],
    ['the text is missing', 'FROM x\nUSER root\n'],
  ])('fails when %s', async (_what, content) => {
    if (content !== undefined) await writeFile(join(root, 'Dockerfile'), content);

    const { state, evidence } = inspect(box, root);

    expect(state).toBe('fail');
    expect(evidence).toContain('Dockerfile');
  });

  it('fails when what a running app shows fails, and says where it was seen', async () => {
    const sections = [
      {
        title: 'One',
        boxes: [
          { ...box, places: [at('LICENSE')], azure: () => Promise.reject(new Error('no right')) },
        ],
      },
    ];
    const azure = { group: 'rg', app: 'app', read: () => Promise.resolve(undefined) };

    const [result] = await runDoctor(sections, { azure });

    expect(result).toMatchObject({
      state: 'fail',
      source: 'azure',
      evidence: 'not readable: no right',
    });
  });
});

describe('the search for secrets', () => {
  it.each([
    ['a storage key', `AccountKey=${'a'.repeat(86)}==`],
    ['an OpenAI key', `const key = 'sk-proj-${'a1'.repeat(24)}';`],
    ['a private key', `-----BEGIN PRIVATE KEY-----\n${'A'.repeat(64)}\n`],
    ['a GitHub token', `ghp_${'a1'.repeat(18)}`],
    ['a shared access signature', `https://x?se=1&sig=${'a%2B'.repeat(12)}`],
    ['a password in an address', 'redis://user:correct-horse@redis.internal'],
  ])('finds %s, and prints its place without the value', async (name, text) => {
    await mkdir(join(root, 'shared'));
    await writeFile(join(root, 'shared', 'leak.ts'), text);

    const { state, evidence } = findSecrets(root);

    expect({ state, evidence }).toEqual({ state: 'fail', evidence: `shared/leak.ts: ${name}` });
  });

  it('accepts a source without any', async () => {
    await writeFile(join(root, 'agent.toml'), "endpoint = 'https://example.com'\n");

    expect(findSecrets(root).state).toBe('pass');
  });
});

describe('the report', () => {
  it('lists every box with its evidence, and counts the states', async () => {
    const results = await runDoctor(SECTIONS);

    const table = toTable(results);

    expect(table.split('\n')).toHaveLength(BOXES + 2);
    expect(summarise(results)).toMatch(/^138 boxes: \d+ pass, 0 fail, \d+ not yet, \d+ yours, \d+/);
  });
});

describe('npm run doctor', () => {
  const DOCTOR = 'dev/doctor.ts';

  it('prints JSON and succeeds while no box fails', async () => {
    const script = runScript(DOCTOR, { args: ['--json'] });

    const { code } = await script.ended;

    expect(JSON.parse(script.stdout())).toHaveLength(BOXES);
    expect(code).toBe(0);
  });

  it('refuses to check Azure without the outputs of a deployment', async () => {
    const script = runScript(DOCTOR, {
      args: ['--azure'],
      env: { PATH: process.env['PATH'] ?? '' },
    });

    const { code } = await script.ended;

    expect(script.stderr()).toContain('AZURE_RESOURCE_GROUP and SERVICE_API_NAME must be set');
    expect(code).toBe(1);
  });

  it('reads the resources of the selected azd environment by the Azure CLI', async () => {
    const answers: Readonly<Record<string, unknown>> = {
      'functionapp show': { httpsOnly: true, identity: { type: 'UserAssigned' } },
      'monitor action-group': [{ name: 'ag-oncall', emailReceivers: [] }],
      'monitor scheduled-query': [{ enabled: true }],
      'monitor log-analytics workspace': [{ customerId: 'id' }],
      'monitor log-analytics query': [{ Count: '7' }],
    };
    const cases = Object.entries(answers).map(
      ([command, body]) => `  "${command}"*) echo '${JSON.stringify(body)}';;`,
    );
    await writeFile(join(root, 'az'), `#!/bin/sh\ncase "$*" in\n${cases.join('\n')}\nesac\n`);
    const outputs = { AZURE_RESOURCE_GROUP: 'rg', SERVICE_API_NAME: 'app' };
    await writeFile(join(root, 'azd'), `#!/bin/sh\necho '${JSON.stringify(outputs)}'\n`);
    await Promise.all(['az', 'azd'].map((name) => chmod(join(root, name), 0o755)));

    const script = runScript(DOCTOR, {
      args: ['--azure', '--json'],
      env: { PATH: [root, process.env['PATH'] ?? ''].join(delimiter) },
    });
    const { code } = await script.ended;

    const seen = (
      JSON.parse(script.stdout()) as { number: number; state: string; source: string }[]
    )
      .filter(({ source }) => source === 'azure')
      .map(({ number, state }) => `${number} ${state}`);
    expect(seen).toEqual([
      '31 pass',
      '40 pass',
      '45 pass',
      '89 pass',
      '90 pass',
      '99 fail',
      '128 pass',
      '129 pass',
      '130 fail',
    ]);
    expect(code).toBe(1);
  });
});
