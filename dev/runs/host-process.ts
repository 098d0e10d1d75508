import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { startHost } from '../host/start-host.ts';
import { PROJECT_ROOT } from '../project-root.ts';

/** The local host in a process of its own, so that it and its worker can be killed. */
export interface HostProcess {
  readonly url: string;
  workerPid(): number | undefined;
  kill(): Promise<void>;
}

type HostMessage = { readonly url: string } | { readonly workerPid: number };

export async function startHostProcess(
  environment: Readonly<Record<string, string>>,
): Promise<HostProcess> {
  const child = fork(fileURLToPath(import.meta.url), [], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const url = Promise.withResolvers<string>();
  let workerPid: number | undefined;
  child.on('message', (message: HostMessage) => {
    if ('url' in message) url.resolve(message.url);
    else ({ workerPid } = message);
  });
  child.once('exit', () => url.reject(new Error('The host ended before it served')));
  return { url: await url.promise, workerPid: () => workerPid, kill: () => kill(child) };
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

/** How long the message of a killed host is hidden, in milliseconds; on Azure ten minutes. */
export const HIDDEN_VARIABLE = 'KILLED_HOST_HIDDEN_MS';

/** In the child. */
async function serve(): Promise<void> {
  const host = await startHost({
    appRoot: PROJECT_ROOT,
    port: 0,
    environment: Object.fromEntries(
      Object.entries(process.env).map(([name, value]) => [name, value ?? '']),
    ),
    log: () => undefined,
    timings: {
      messageInvisibleMs: Number(process.env[HIDDEN_VARIABLE] ?? 20_000),
      restartIntervalMs: 100,
      crashWindowMs: 1,
    },
  });
  let known: number | undefined;
  setInterval(() => {
    const workerPid = host.workerPid();
    if (workerPid === known || workerPid === undefined) return;
    known = workerPid;
    process.send?.({ workerPid });
  }, 20);
  process.send?.({ url: host.url });
  process.once('disconnect', () => process.exit(0));
}

if (process.argv[1] === fileURLToPath(import.meta.url) && process.send !== undefined) await serve();
