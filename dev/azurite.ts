import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { CliError } from './cli-error.ts';

/** The account and key of every storage emulator. They are published and not a secret. */
const ACCOUNT = 'devstoreaccount1';
const ACCOUNT_KEY =
  'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

/** It takes half a second on an idle machine and ten on a very busy one. */
const START_TIMEOUT_MS = 60_000;
/** Longer than the emulator's own shutdown time, in which it writes the tables of its folder. */
const STOP_TIMEOUT_MS = 10_000;

export interface AzuritePorts {
  readonly blob: number;
  readonly queue: number;
  readonly table: number;
}

export interface Azurite {
  readonly connectionString: string;
  readonly ports: AzuritePorts;
  readonly pid: number;
  /** Resolves with a reason if the emulator ends without a stop. */
  readonly failed: Promise<Error>;
  stop(): Promise<void>;
}

export interface StartAzuriteOptions {
  /** Stores the contents in this folder; without it they are in memory and end with the process. */
  readonly folder?: string | undefined;
}

/** Starts the storage emulator on free ports, as a child that ends with this process. */
export async function startAzurite(options: StartAzuriteOptions = {}): Promise<Azurite> {
  const folder = options.folder === undefined ? undefined : resolve(options.folder);
  if (folder !== undefined) await mkdir(folder, { recursive: true });
  const child = spawnAzurite(folder);
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(`it ended with ${signal ?? `code ${code}`}`));
  });
  let ports: AzuritePorts;
  try {
    ports = await waitForPorts(child, ended);
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
  let stopping = false;
  return {
    connectionString: connectionStringFor(ports),
    ports,
    pid: child.pid ?? 0,
    failed: new Promise((resolve) => {
      void ended.then((reason) => {
        if (!stopping) resolve(new CliError(`The storage emulator is gone: ${reason}`));
      });
    }),
    async stop() {
      stopping = true;
      // In memory there is nothing to save. With a folder it closes its files when the channel
      // closes.
      if (folder === undefined) child.kill('SIGKILL');
      else if (child.connected) child.disconnect();
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** The connection string of an emulator on these ports. */
export function connectionStringFor(ports: AzuritePorts): string {
  return [
    'DefaultEndpointsProtocol=http',
    `AccountName=${ACCOUNT}`,
    `AccountKey=${ACCOUNT_KEY}`,
    `BlobEndpoint=http://127.0.0.1:${ports.blob}/${ACCOUNT}`,
    `QueueEndpoint=http://127.0.0.1:${ports.queue}/${ACCOUNT}`,
    `TableEndpoint=http://127.0.0.1:${ports.table}/${ACCOUNT};`,
  ].join(';');
}

function spawnAzurite(folder: string | undefined): ChildProcess {
  const script = createRequire(import.meta.url).resolve('azurite/dist/src/azurite.js');
  const preload = pathToFileURL(join(import.meta.dirname, 'end-with-parent.ts')).href;
  const place = folder === undefined ? ['--inMemoryPersistence'] : ['--location', folder];
  // Port 0: the emulator chooses free ports and prints them, so no other process can take them
  // first.
  const ports = ['--blobPort', '0', '--queuePort', '0', '--tablePort', '0'];
  // By default it sends usage reports and refuses clients that are newer than itself.
  const quiet = ['--disableTelemetry', '--skipApiVersionCheck', '--silent'];
  return spawn(process.execPath, ['--import', preload, script, ...place, ...ports, ...quiet], {
    cwd: folder ?? tmpdir(),
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    // In a process group of its own: Ctrl-C in a terminal must not end it before the processes that
    // write to it.
    detached: true,
  });
}

async function waitForPorts(child: ChildProcess, ended: Promise<string>): Promise<AzuritePorts> {
  let output = '';
  const { promise: ready, resolve } = Promise.withResolvers<AzuritePorts>();
  const collect = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-4_000);
    const ports = readPorts(output);
    if (ports !== undefined) resolve(ports);
  };
  child.stdout?.on('data', collect);
  child.stderr?.on('data', collect);
  const timeout = AbortSignal.timeout(START_TIMEOUT_MS);
  const failed = Promise.withResolvers<never>();
  const fail = (reason: string): void =>
    failed.reject(new CliError(`Cannot start the storage emulator: ${reason}${tail(output)}`));
  timeout.addEventListener('abort', () => fail(`not ready after ${START_TIMEOUT_MS / 1_000} s`));
  void ended.then(fail);
  return Promise.race([ready, failed.promise]);
}

function readPorts(output: string): AzuritePorts | undefined {
  const portOf = (service: string): number =>
    Number(
      new RegExp(`${service} service is successfully listening at \\S+:(\\d+)`).exec(output)?.[1],
    );
  const ports = { blob: portOf('Blob'), queue: portOf('Queue'), table: portOf('Table') };
  return Object.values(ports).every((port) => port > 0) ? ports : undefined;
}

function tail(output: string): string {
  const line = output
    .trim()
    .split('\n')
    .findLast((text) => text !== '');
  return line === undefined ? '' : ` (last output: ${line.trim()})`;
}
