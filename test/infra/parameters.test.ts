import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { VARIABLES } from '../../shared/config/variables.ts';
import { checkParameters, readParameterFile, readParameters } from './support/parameters.ts';
import type { BicepFile } from './support/bicep-tree.ts';
import { readInfra, type Infra } from './support/read-infra.ts';
import { readAzureYaml } from './support/azure-yaml.ts';

/** azd sets these by itself, for a person and for a pipeline. */
const OF_AZD = new Set([
  'AZURE_ENV_NAME',
  'AZURE_LOCATION',
  'AZURE_PRINCIPAL_ID',
  'AZURE_PRINCIPAL_TYPE',
]);
/** From the retirement tables of Azure OpenAI. Change the date with the default. */
const RETIREMENT = { model: 'gpt-5.4-mini', version: '2026-03-17', date: '2027-03-18' } as const;
const DAYS_OF_NOTICE = 60;

let infra: Infra;
beforeAll(async () => {
  infra = await readInfra();
});

const FILE = 'infra/main.parameters.json';

function plantedFile(from: string, to: string): string[] {
  const text = readFileSync(FILE, 'utf8');
  if (!text.includes(from)) throw new Error(`${FILE} does not hold ${from}`);
  return checkParameters(infra.main, readParameterFile(text.replace(from, to)));
}

describe('main.parameters.json', () => {
  it('takes each parameter from the environment, with the default of the template', () => {
    expect(checkParameters(infra.main, readParameterFile())).toEqual([]);
    expect(readParameterFile().length).toBeGreaterThan(25);
  });

  it.each([
    ['a parameter that does not exist', '"vnetEnabled"', '"vnet"', 'vnet is no parameter'],
    ['a forgotten parameter', '"vnetEnabled"', '"vnet"', 'vnetEnabled has no line'],
    ['another default', 'MAX_INSTANCES=100', 'MAX_INSTANCES=10', 'two defaults'],
    ['a fixed value', '${ALERT_EMAIL=}', 'me', 'not taken from the environment'],
  ])('turns the check red with %s', (...[, from, to, found]) => {
    expect(plantedFile(from, to).join('\n')).toContain(found);
  });

  it('passes secrets only in parameters that are marked secure, also to modules', () => {
    expect(infra.all.flatMap(openSecrets)).toEqual([]);
    expect(infra.all.flatMap(secretsOf).filter(({ isSecure }) => isSecure)).toHaveLength(6);
  });

  it.each([
    ['infra/main.bicep', 'upstashRedisToken'],
    ['infra/modules/vault.bicep', 'historyEncryptionKey'],
    ['infra/modules/alerts.bicep', 'webhookUrl'],
  ])('turns the check red in %s if %s is not marked', (path, name) => {
    const text = infra.planted(path, { from: '', to: '' }).root.text;
    const marked =
      new RegExp(`@secure\\(\\)\\n(?:@description.*\\n)?param ${name} `).exec(text)?.[0] ?? '';

    const file = infra.planted(path, { from: marked, to: marked.replace('@secure()\n', '') });

    expect(openSecrets(file)).toEqual([name]);
  });
});

function secretsOf(file: BicepFile) {
  return readParameters(file).filter(
    ({ name }) => /token|key|secret|webhook/i.test(name) && name !== 'dailyTokenBudget',
  );
}

function openSecrets(file: BicepFile): string[] {
  return secretsOf(file)
    .filter(({ isSecure }) => !isSecure)
    .map(({ name }) => name);
}

describe('a pipeline', () => {
  it('lists every variable, so that it provisions the same values', () => {
    const { variables, secrets } = readAzureYaml().pipeline;
    const wanted = readParameterFile()
      .map(({ variable }) => variable)
      .filter((variable) => !OF_AZD.has(variable));

    expect([...variables, ...secrets].toSorted()).toEqual(wanted.toSorted());
    expect(secrets).toEqual([
      'UPSTASH_REDIS_REST_TOKEN',
      'HISTORY_ENCRYPTION_KEY',
      'ALERT_WEBHOOK_URL',
    ]);
  });

  it('passes each of them to azd in its workflow', () => {
    const { variables, secrets } = readAzureYaml().pipeline;
    const text = readFileSync('.github/workflows/deploy-package.yml', 'utf8');

    expect(variables.filter((name) => !text.includes(`${name}: \${{ vars.${name} }}`))).toEqual([]);
    expect(secrets.filter((name) => !text.includes(`${name}: \${{ secrets.${name} }}`))).toEqual(
      [],
    );
  });
});

describe('docs/operations.md', () => {
  it('has a row for each variable, with its default', () => {
    const text = readFileSync('docs/operations.md', 'utf8');

    const missing = readParameterFile()
      .filter(({ variable }) => !OF_AZD.has(variable))
      .map(
        (source) =>
          `| \`${source.variable}\` | ${source.default ? `\`${source.default}\`` : 'empty'} |`,
      )
      .filter((row) => !text.includes(row));

    expect(missing).toEqual([]);
  });
});

describe('the default model', () => {
  const noticeFrom = Date.parse(RETIREMENT.date) - DAYS_OF_NOTICE * 86_400_000;

  it('is the one whose retirement this test checks, in the templates and in the app', () => {
    const sources = new Map(readParameterFile().map((one) => [one.variable, one.default]));

    expect(sources.get('AZURE_OPENAI_MODEL')).toBe(RETIREMENT.model);
    expect(sources.get('AZURE_OPENAI_MODEL_VERSION')).toBe(RETIREMENT.version);
    expect(VARIABLES.openAiModel.default).toBe(RETIREMENT.model);
  });

  it(`is not within ${DAYS_OF_NOTICE} days of its retirement: docs/runbooks/model-retirement.md`, () => {
    expect(Date.now()).toBeLessThan(noticeFrom);
  });
});
