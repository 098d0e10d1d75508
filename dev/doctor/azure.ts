import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import * as z from 'zod';
import { CliError, firstLine } from '../cli-error.ts';
import { fail, pass, type Finding } from './finding.ts';

/** A call of the CLI takes seconds. */
const CLI_TIMEOUT_MS = 60_000;

/** The resources of the deployment, read by the Azure CLI with the login of the operator. */
export interface Azure {
  readonly group: string;
  readonly app: string;
  readonly read: (command: readonly string[]) => Promise<unknown>;
}

const outputsSchema = z.object({ AZURE_RESOURCE_GROUP: z.string(), SERVICE_API_NAME: z.string() });

/**
 * Finds the deployment by its outputs: in the environment, or else in the selected azd environment.
 * @throws CliError without the outputs of a deployment
 */
export async function createAzure(
  environment: Readonly<Record<string, string | undefined>>,
): Promise<Azure> {
  const set = outputsSchema.safeParse(environment);
  const found = set.success ? set : outputsSchema.safeParse(await readAzdValues());
  if (!found.success) {
    throw new CliError(
      'Cannot check Azure as AZURE_RESOURCE_GROUP and SERVICE_API_NAME must be set, or be outputs of the selected azd environment: they are not',
    );
  }
  const { AZURE_RESOURCE_GROUP: group, SERVICE_API_NAME: app } = found.data;
  return {
    group,
    app,
    async read(command) {
      const args = [...command, '--output', 'json', '--only-show-errors'];
      const { stdout } = await promisify(execFile)('az', args, {
        timeout: CLI_TIMEOUT_MS,
        // Two of the commands are extensions, which the CLI otherwise offers to install.
        env: { ...environment, AZURE_EXTENSION_USE_DYNAMIC_INSTALL: 'yes_without_prompt' },
      });
      return JSON.parse(stdout);
    },
  };
}

/** As JSON, because a shell would run what stands between backticks. */
async function readAzdValues(): Promise<unknown> {
  const args = ['env', 'get-values', '--output', 'json'];
  try {
    const { stdout } = await promisify(execFile)('azd', args, { timeout: CLI_TIMEOUT_MS });
    return JSON.parse(stdout);
  } catch {
    // Without azd, or without an environment, there are no outputs.
    return undefined;
  }
}

/** Turns a failing command into a finding, because one missing right must not end the report. */
export async function orFail(check: () => Promise<Finding>): Promise<Finding> {
  try {
    return await check();
  } catch (error) {
    return fail(`not readable: ${firstLine(error)}`);
  }
}

const siteSchema = z.object({
  httpsOnly: z.boolean(),
  siteConfig: z.object({ minTlsVersion: z.string().nullish() }).nullish(),
  identity: z.object({ type: z.string() }).nullish(),
});

async function readSite({ read, group, app }: Azure) {
  return siteSchema.parse(await read(['functionapp', 'show', '-g', group, '-n', app]));
}

export async function requiresHttps(azure: Azure): Promise<Finding> {
  const { httpsOnly } = await readSite(azure);
  return httpsOnly ? pass('the app accepts https only') : fail('the app accepts http');
}

export async function hasIdentity(azure: Azure): Promise<Finding> {
  const { identity } = await readSite(azure);
  return identity?.type.includes('UserAssigned')
    ? pass('a user-assigned identity')
    : fail('the app has no user-assigned identity');
}

/** Every action group of the deployment reaches a person. */
export async function hasReceivers({ read, group }: Azure): Promise<Finding> {
  const groups = z
    .array(
      z.object({
        name: z.string(),
        emailReceivers: z.array(z.unknown()).nullish(),
        smsReceivers: z.array(z.unknown()).nullish(),
        webhookReceivers: z.array(z.unknown()).nullish(),
      }),
    )
    .parse(await read(['monitor', 'action-group', 'list', '-g', group]));
  const silent = groups.filter(
    (one) =>
      [one.emailReceivers, one.smsReceivers, one.webhookReceivers].flatMap((list) => list ?? [])
        .length === 0,
  );
  return groups.length > 0 && silent.length === 0
    ? pass(`${groups.length} action groups with receivers`)
    : fail(`no receiver: ${silent.map(({ name }) => name).join(', ') || 'no action group'}`);
}

export async function hasAlerts({ read, group }: Azure): Promise<Finding> {
  const rules = z
    .array(z.object({ enabled: z.boolean().nullish() }))
    .parse(await read(['monitor', 'scheduled-query', 'list', '-g', group]));
  const enabled = rules.filter((rule) => rule.enabled !== false).length;
  return enabled > 0 ? pass(`${enabled} log alerts are on`) : fail('no log alert is on');
}

/** Rows of the last hour in the tables of Application Insights. */
export async function hasTelemetry({ read, group }: Azure): Promise<Finding> {
  const [workspace] = z
    .array(z.object({ customerId: z.string() }))
    .parse(await read(['monitor', 'log-analytics', 'workspace', 'list', '-g', group]));
  if (workspace === undefined) return fail('no workspace');
  const query = 'union AppRequests, AppTraces, AppMetrics | where TimeGenerated > ago(1h) | count';
  const [row] = z
    .array(z.object({ Count: z.coerce.number() }))
    .parse(
      await read([
        'monitor',
        'log-analytics',
        'query',
        '--workspace',
        workspace.customerId,
        '--analytics-query',
        query,
      ]),
    );
  return (row?.Count ?? 0) > 0
    ? pass(`${row?.Count} rows in the last hour`)
    : fail('no row in the last hour');
}
