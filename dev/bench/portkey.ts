import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { CliError } from '../cli-error.ts';
import type { ChildServer } from './child-server.ts';

const PACKAGE = '@portkey-ai/gateway';
const VERSION = '1.15.2';
const START_TIMEOUT_MS = 30_000;
const run = promisify(execFile);

/** Installs the gateway into a temporary folder and starts it; removes the folder at the end. */
export async function startPortkey(): Promise<ChildServer> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-portkey-'));
  await writeFile(join(folder, 'package.json'), '{"private":true}');
  const flags = ['--no-audit', '--no-fund', '--ignore-scripts'];
  await run('npm', ['install', ...flags, `${PACKAGE}@${VERSION}`], { cwd: folder });
  const port = await findFreePort();
  const script = join(folder, 'node_modules', PACKAGE, 'build', 'start-server.js');
  const child = spawn(process.execPath, [script, '--headless', `--port=${port}`], {
    cwd: folder,
    stdio: 'ignore',
  });
  const exited = once(child, 'exit');
  // Awaited only at the stop: a program that cannot start must not end this process before.
  exited.catch(() => undefined);
  const url = `http://127.0.0.1:${port}`;
  async function stop(): Promise<void> {
    child.kill();
    await exited;
    await rm(folder, { recursive: true, force: true });
  }
  const giveUpAt = performance.now() + START_TIMEOUT_MS;
  while (!(await isServing(url))) {
    if (performance.now() > giveUpAt || child.exitCode !== null) {
      await stop();
      throw new CliError(`Cannot compare as ${PACKAGE} ${VERSION} must serve: it does not`);
    }
    await sleep(100);
  }
  return { url, pid: child.pid ?? 0, stop };
}

function isServing(url: string): Promise<boolean> {
  return fetch(url).then(
    (response) => response.ok,
    () => false,
  );
}

async function findFreePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
