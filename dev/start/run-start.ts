import { prepareProxyVariables } from '../../shared/model/proxy.ts';
import { CliError, describeCliError, firstLine } from '../cli-error.ts';
import { describeEnvironment } from './describe-environment.ts';
import { readAgentToml } from './agent-toml.ts';
import { readSettingsFile } from './local-settings.ts';
import { createCleanupStack, startLocalEnvironment } from './local-environment.ts';
import type { CleanupStack } from './local-environment.ts';
import { planStart } from './plan-start.ts';
import { stopOnSignal } from './stop-on-signal.ts';
import { removeStartRecord, writeStartRecord } from './start-record.ts';

export interface RunStartOptions {
  readonly root: string;
  readonly argv: readonly string[];
}

/**
 * `npm start`: runs until a signal or until a server fails; a failure is one line and exit code 1.
 */
export async function runStart({ root, argv }: RunStartOptions): Promise<void> {
  const stops = createCleanupStack();
  // The reader of our output may end before this process; that must not interrupt the stop.
  process.stdout.on('error', () => undefined);
  stopOnSignal({ stop: () => stops.stopAll(), print });
  try {
    await start({ root, argv, stops });
  } catch (error) {
    // The code that stops the servers also ends this process, with the exit code of a stop.
    if (stops.isStopping()) return;
    process.stderr.write(`${describeCliError(error)}\n`);
    await stops.stopAll().catch(() => undefined);
    process.exit(1);
  }
}

async function start(options: RunStartOptions & { readonly stops: CleanupStack }): Promise<void> {
  const { root, argv, stops } = options;
  // Everything started here is on this machine. Child processes inherit it.
  prepareProxyVariables(process.env);
  const plan = planStart({
    argv,
    environment: process.env,
    localSettings: readSettingsFile(root),
    agentToml: readAgentToml(root),
  });
  const environment = await startLocalEnvironment({ root, plan, print }, stops);
  const { connectionString } = environment.storage;
  await writeStartRecord(root, {
    pid: process.pid,
    url: environment.url,
    ...(connectionString === undefined ? {} : { storage: connectionString }),
    ...(environment.model.ours ? { modelUrl: environment.model.where } : {}),
  });
  await stops.add(() => removeStartRecord(root));
  for (const line of describeEnvironment(environment, plan)) print(line);
  print(`ready: ${environment.url}`);
  throw new CliError(firstLine(await environment.failed));
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
