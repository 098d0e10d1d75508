import { PlainFailure, describeFailure, firstLine } from '../plain-failure.ts';
import { describeWorld } from './describe-world.ts';
import { readAgentToml } from './agent-toml.ts';
import { readSettingsFile } from './local-settings.ts';
import { createStops, startLocalWorld } from './local-world.ts';
import type { Stops } from './local-world.ts';
import { planStart } from './plan-start.ts';
import { stopOnSignal } from './stop-on-signal.ts';
import { removeStartRecord, writeStartRecord } from './start-record.ts';

export interface RunStartOptions {
  readonly root: string;
  readonly argv: readonly string[];
}

/** `npm start`: runs until a signal or until a part fails; a failure is one line and exit code 1. */
export async function runStart({ root, argv }: RunStartOptions): Promise<void> {
  const stops = createStops();
  // Whoever read our output may be gone before us; that must not cut the stop short.
  process.stdout.on('error', () => undefined);
  stopOnSignal({ stop: () => stops.stopAll(), say });
  try {
    await start({ root, argv, stops });
  } catch (error) {
    // Whoever stops the parts also ends this process, with the exit code of a stop.
    if (stops.isStopping()) return;
    process.stderr.write(`${describeFailure(error)}\n`);
    await stops.stopAll().catch(() => undefined);
    process.exit(1);
  }
}

async function start(options: RunStartOptions & { readonly stops: Stops }): Promise<void> {
  const { root, argv, stops } = options;
  const plan = planStart({
    argv,
    environment: process.env,
    localSettings: readSettingsFile(root),
    agentToml: readAgentToml(root),
  });
  const world = await startLocalWorld({ root, plan, say }, stops);
  const { connectionString } = world.storage;
  await writeStartRecord(root, {
    pid: process.pid,
    url: world.url,
    ...(connectionString === undefined ? {} : { storage: connectionString }),
    ...(world.model.ours ? { modelUrl: world.model.where } : {}),
  });
  await stops.add(() => removeStartRecord(root));
  for (const line of describeWorld(world, plan)) say(line);
  say(`ready: ${world.url}`);
  throw new PlainFailure(firstLine(await world.failed));
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
