import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { listAgentKeys } from '../../shared/config/agent-keys.ts';
import { VARIABLES, type Variable } from '../../shared/config/variables.ts';
import type { BicepFile } from './support/bicep-tree.ts';
import { readInfra, type Infra } from './support/read-infra.ts';
import { appSettingsOf, constantsOf, listOf, readTriggers } from './support/read-names.ts';
import type { Trigger } from './support/read-names.ts';

const STORAGE = 'infra/modules/storage.bicep';
const APP = 'infra/modules/app.bicep';
/** The container of the app's package, which only the platform uses. */
const PACKAGES = 'app-package';

/** Settings that the platform or its libraries read, and the app does not. */
const OF_THE_PLATFORM = new Set([
  'AzureWebJobsStorage__credential',
  'AzureWebJobsStorage__clientId',
  'AzureWebJobsStorage__tableServiceUri',
  'AZURE_TOKEN_CREDENTIALS',
  'FUNCTIONS_REQUEST_BODY_SIZE_LIMIT',
  'languageWorkers__node__arguments',
  'AzureWebJobsDisableHomepage',
]);
/** Flex Consumption rejects these or does not support them. */
const FORBIDDEN =
  /^(FUNCTIONS_WORKER_RUNTIME.*|FUNCTIONS_EXTENSION_VERSION|FUNCTIONS_MAX_HTTP_CONCURRENCY|WEBSITE_RUN_FROM_PACKAGE|WEBSITE_NODE_DEFAULT_VERSION|WEBSITE_CONTENT.*|WEBSITE_MAX_DYNAMIC_APPLICATION_SCALE_OUT|WEBSITE_VNET_ROUTE_ALL|WEBSITE_TIME_ZONE|TZ|SCM_DO_BUILD_DURING_DEPLOYMENT|ENABLE_ORYX_BUILD)$/;
/** What the platform's web server accepts of headers together, in bytes. */
const LARGEST_HEADERS = 32 * 1024;
/** The largest upload of a batch file. */
const LARGEST_UPLOAD = 200 * 1024 * 1024;

let infra: Infra;
let triggers: readonly Trigger[];
beforeAll(async () => {
  infra = await readInfra();
  triggers = readTriggers();
});

function same(path: string): BicepFile {
  return infra.planted(path, { from: '', to: '' });
}

function namesAreEqual(storage: BicepFile): boolean {
  const queues = listOf(storage, 'queues').toSorted();
  const containers = listOf(storage, 'containers').toSorted();
  const wanted = [...new Set([PACKAGES, ...constantsOf('CONTAINER')])].toSorted();
  return (
    JSON.stringify(queues) === JSON.stringify(constantsOf('QUEUE').toSorted()) &&
    JSON.stringify(containers) === JSON.stringify(wanted)
  );
}

function checkSettings(app: BicepFile): string[] {
  const ours = new Set<string>([
    ...Object.values<Variable>(VARIABLES).map(({ name }) => name),
    ...listAgentKeys().map(({ variable }) => variable),
  ]);
  return appSettingsOf(app, infra.main)
    .map(({ name }) => name)
    .filter((name) => FORBIDDEN.test(name) || !(ours.has(name) || OF_THE_PLATFORM.has(name)));
}

describe('the storage', () => {
  it('has the queues and containers that the code names, and the package', () => {
    expect(namesAreEqual(same(STORAGE))).toBe(true);
    expect(listOf(same(STORAGE), 'queues')).toContain('batch-jobs');
  });

  it('expires all blobs except the package', () => {
    const lists = ['expiring', 'expiringSessions', 'expiringDaily'];

    const expiring = lists.flatMap((list) => listOf(same(STORAGE), list));

    expect(expiring.toSorted()).toEqual(
      constantsOf('CONTAINER')
        .map((name) => `${name}/`)
        .toSorted(),
    );
    expect(expiring).not.toContain(`${PACKAGES}/`);
  });

  it.each([
    ['a renamed queue', "'batch-jobs',", "'batch-job',"],
    ['a forgotten poison queue', ", 'batch-jobs-poison'", ''],
    ['a renamed container', "'batch-results',", "'results',"],
  ])('turns the check red with %s', (...[, from, to]) => {
    expect(namesAreEqual(infra.planted(STORAGE, { from, to }))).toBe(false);
  });
});

describe('the app settings', () => {
  it('are all read, and allowed on the plan', () => {
    expect(checkSettings(same(APP))).toEqual([]);
    expect(appSettingsOf(same(APP), infra.main).length).toBeGreaterThan(12);
  });

  it('turn the check red with one that is forbidden or not read', () => {
    const planted = (line: string) =>
      infra.planted(APP, {
        from: '    AZURE_CLIENT_ID:',
        to: `    ${line}\n    AZURE_CLIENT_ID:`,
      });

    expect(checkSettings(planted("FUNCTIONS_WORKER_RUNTIME: 'node'"))).toHaveLength(1);
    expect(checkSettings(planted("WEBSITE_RUN_FROM_PACKAGE: '1'"))).toHaveLength(1);
    expect(checkSettings(planted("AZURE_KEYVAULT_URI: 'x'"))).toEqual(['AZURE_KEYVAULT_URI']);
  });

  it('contain the three addresses of the storage account', () => {
    const names = appSettingsOf(same(APP), infra.main).map(({ name }) => name);

    for (const service of ['blob', 'queue', 'table']) {
      expect(names).toContain(`AzureWebJobsStorage__${service}ServiceUri`);
    }
  });

  it('allow the largest upload', () => {
    const limit = appSettingsOf(same(APP), infra.main).find(
      ({ name }) => name === 'FUNCTIONS_REQUEST_BODY_SIZE_LIMIT',
    );

    expect(Number(limit?.value)).toBeGreaterThan(LARGEST_UPLOAD);
  });

  it('let the largest headers through to the worker', () => {
    const workerArguments = appSettingsOf(same(APP), infra.main).find(
      ({ name }) => name === 'languageWorkers__node__arguments',
    );

    const [, limit] = /^--max-http-header-size=(\d+)$/.exec(workerArguments?.value ?? '') ?? [];

    expect(Number(limit)).toBeGreaterThan(LARGEST_HEADERS);
  });

  it('name the vault secrets as the code does', () => {
    const written = infra.all.flatMap(({ root }) =>
      [...root.text.matchAll(/vaults\/secrets@[\s\S]*?name: '([^']+)'/g)].map(([, name]) => name),
    );

    const read = new Set(Object.values<Variable>(VARIABLES).map(({ vaultName }) => vaultName));

    expect(written.filter((name) => !read.has(name))).toEqual([]);
    expect(written).toHaveLength(2);
  });
});

describe('the routes', () => {
  it('that need no Entra token are anonymous in the code too', () => {
    const open = new Set(
      triggers
        .filter(({ route, authLevel }) => route !== undefined && authLevel === 'anonymous')
        .map(({ route }) => `/${route ?? ''}`),
    );

    const excluded = listOf(same(APP), 'probePaths');

    expect(excluded.filter((path) => !open.has(path))).toEqual([]);
    expect(excluded).toContain('/health');
  });

  it('that the probe and the hooks call exist', () => {
    const known = new Set(triggers.map(({ route }) => `/${route ?? ''}`));
    const asked = /healthUrl: '\$\{app\.outputs\.url\}([^']+)'/.exec(infra.main.root.text)?.[1];

    expect(known).toContain(asked);
    for (const path of ['/health', '/ready', '/health/ready', '/api/chat']) {
      expect(readFileSync('infra/hooks/support/checks.js', 'utf8')).toContain(`'${path}'`);
      expect(known).toContain(path);
    }
    for (const path of ['/v1/models', '/v1/files', '/v1/batches']) {
      expect(readFileSync('infra/hooks/support/batch.js', 'utf8')).toContain(`'${path}'`);
      expect(known).toContain(path);
    }
  });
});

describe('the queue triggers', () => {
  it('read declared queues, with a connection in the app settings', () => {
    const queues = listOf(same(STORAGE), 'queues');
    const listening = triggers.filter(({ queueName }) => queueName !== undefined);

    expect(new Set(listening.map(({ queueName }) => queueName))).toEqual(new Set(queues));
    expect(new Set(listening.map(({ connection }) => connection))).toEqual(
      new Set(['AzureWebJobsStorage']),
    );
  });
});

describe('host.json', () => {
  const host = z
    .object({
      functionTimeout: z.string(),
      extensions: z.object({
        http: z.object({ routePrefix: z.literal(''), hsts: z.object({ isEnabled: z.boolean() }) }),
        queues: z.object({ messageEncoding: z.string(), batchSize: z.int() }),
      }),
    })
    .parse(JSON.parse(readFileSync('host.json', 'utf8')));

  it('ends a call within minutes, later than the front end does', () => {
    const [hours = 0, minutes = 0, seconds = 0] = host.functionTimeout.split(':').map(Number);
    const total = hours * 3600 + minutes * 60 + seconds;

    expect(total).toBeGreaterThan(230);
    expect(total).toBeLessThanOrEqual(600);
  });

  it('requires https of browsers, and does not decode the text of messages', () => {
    expect(host.extensions.http.hsts.isEnabled).toBe(true);
    expect(host.extensions.queues.messageEncoding).toBe('none');
  });
});
