import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { build } from '../../../dev/build.ts';
import { isListening } from '../../../dev/start/network.ts';
import { readStartRecord } from '../../../dev/start/start-record.ts';
import { copyFixtureApp } from '../../support/fixture-app.ts';
import { descendantsOf, waitForChild, waitUntilGone } from '../../support/processes.ts';
import { runScript } from '../../support/run-script.ts';
import type { RunningScript, ScriptOptions } from '../../support/run-script.ts';

const FIXTURES = join(import.meta.dirname, '..', 'fixtures');
const READY = /^ready: (http:\/\/127\.0\.0\.1:(\d+))$/m;

let root: string;

beforeAll(async () => {
  root = await copyFixtureApp();
  await build({ root });
});

afterAll(async () => {
  await rm(root, { recursive: true, force: true });
});

describe('npm start', () => {
  it('says ready when it serves, gives the app its settings, and leaves nothing on SIGTERM', async () => {
    const run = start({ env: { SHELL_SETTING: 'from the shell', npm_config_noise: 'yes' } });
    await run.waitFor(READY);
    const { url, port } = address(run);
    const children = descendantsOf(run.pid);

    const health = await fetch(`${url}/health`);
    const settings: unknown = await (await fetch(`${url}/settings`)).json();
    const record = await readStartRecord(root);
    run.child.kill('SIGTERM');
    const ended = await run.ended;

    expect(health.status).toBe(200);
    expect(settings).toMatchObject({
      SHELL_SETTING: 'from the shell',
      OPENAI_API_KEY: 'development',
      OPENAI_BASE_URL: record?.modelUrl,
      AzureWebJobsStorage: record?.storage,
    });
    expect(settings).not.toHaveProperty('npm_config_noise');
    expect(record).toMatchObject({ pid: run.pid, url });
    expect(run.stdout()).toContain(`curl -N ${url}/api/chat`);
    expect(run.stdout()).toContain(`export AzureWebJobsStorage='${record?.storage}'`);
    expect(children.length).toBeGreaterThanOrEqual(2);
    expect(ended).toEqual({ code: 0, signal: null });
    expect(run.stderr()).toBe('');
    await waitUntilGone(children);
    expect(await isListening(port)).toBe(false);
    expect(existsSync(join(root, '.agent', 'start.json'))).toBe(false);
  });

  it('F9: starts beside a proxy that does not answer', async () => {
    const proxy = 'http://127.0.0.1:9';
    const run = start({
      env: { HTTP_PROXY: proxy, https_proxy: proxy, ALL_PROXY: proxy, NO_PROXY: 'a.example' },
    });

    await run.waitFor(READY);

    const response = await fetch(`${address(run).url}/settings`);
    expect(await response.json()).toMatchObject({
      NO_PROXY: 'a.example,.a.example,localhost,.localhost,127.0.0.1,::1,[::1],169.254.169.254',
    });
    run.child.kill('SIGTERM');
    expect(await run.ended).toEqual({ code: 0, signal: null });
  });

  it('asks for keys with --enable-auth, and shows the one that opens', async () => {
    const run = start({ args: [root, '--port', '0', '--enable-auth'] });
    await run.waitFor(READY);
    const { url } = address(run);
    const key = /x-functions-key: ([^']+)'/.exec(run.stdout())?.[1] ?? '';

    const without = await fetch(`${url}/settings`);
    const withKey = await fetch(`${url}/settings`, { headers: { 'x-functions-key': key } });

    expect([without.status, withKey.status]).toEqual([401, 200]);
    run.child.kill('SIGTERM');
    await run.ended;
  });

  it('takes the two signals that Ctrl-C under npm becomes as one', async () => {
    const run = start();
    await run.waitFor(READY);
    const children = descendantsOf(run.pid);

    run.child.kill('SIGINT');
    await run.waitFor('SIGINT: stopping');
    run.child.kill('SIGTERM');

    expect(await run.ended).toEqual({ code: 0, signal: null });
    await waitUntilGone(children);
  });

  it('ends at once on a second signal while a request is still in flight', async () => {
    const run = start();
    await run.waitFor(READY);
    const children = descendantsOf(run.pid);
    const inFlight = fetch(`${address(run).url}/slow`).catch(() => undefined);
    await run.waitFor('a slow request began');
    run.child.kill('SIGTERM');
    await run.waitFor('stopping');

    const again = setInterval(() => run.child.kill('SIGTERM'), 100);
    const ended = await run.ended;
    clearInterval(again);

    expect(ended).toEqual({ code: 1, signal: null });
    await waitUntilGone(children);
    await inFlight;
  });

  it('stops without a trace when the signal comes before it is ready', async () => {
    const run = start();
    const azurite = await waitForChild(run.pid, 'azurite');

    run.child.kill('SIGTERM');

    expect(await run.ended).toEqual({ code: 0, signal: null });
    expect(run.stdout()).not.toMatch(READY);
    await waitUntilGone([azurite]);
  });

  it('leaves no orphan when it is killed', async () => {
    const run = start();
    await run.waitFor(READY);
    const children = descendantsOf(run.pid);

    run.child.kill('SIGKILL');

    expect(children.length).toBeGreaterThanOrEqual(2);
    await waitUntilGone([run.pid, ...children]);
  });

  it('leaves no orphan when npm above it is killed', async () => {
    const npm = runScript(join(FIXTURES, 'run-child.ts'), {
      args: [join(FIXTURES, 'run-start.ts'), root, '--port', '0'],
      env: { npm_lifecycle_event: 'start' },
    });
    await npm.waitFor(READY);
    const children = descendantsOf(npm.pid);

    npm.child.kill('SIGKILL');

    expect(children.length).toBeGreaterThanOrEqual(3);
    await waitUntilGone([npm.pid, ...children]);
  });

  it('ends with one line and exit code 1 when a part dies', async () => {
    const run = start();
    await run.waitFor(READY);
    const children = descendantsOf(run.pid);
    const azurite = await waitForChild(run.pid, 'azurite');

    process.kill(azurite, 'SIGKILL');

    expect(await run.ended).toEqual({ code: 1, signal: null });
    expect(run.stderr()).toBe('The storage emulator is gone: it ended with SIGKILL\n');
    await waitUntilGone(children);
  });
});

describe('npm start that cannot', () => {
  it('says in one line that its port is taken', async () => {
    const other = createServer();
    other.listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;

    const failure = await startAndFail({ args: [root, '--port', String(port)] });

    expect(failure).toBe(
      `Cannot start as port ${port} must be free: another process uses it (choose one with --port N)\n`,
    );
    other.close();
  });

  it.each([
    ['PORT', { PORT: 'http' }, "Cannot start as 'PORT' must be a whole number"],
    [
      'a setting of the app',
      { AGENT__BATCH__CONCURRENCY: 'many' },
      'AGENT__BATCH__CONCURRENCY must',
    ],
    [
      'the storage',
      { AzureWebJobsStorage: 'rubbish' },
      'AzureWebJobsStorage must be a storage connection string',
    ],
  ])('says in one line what is wrong with %s', async (_case, env, message) => {
    const failure = await startAndFail({ env, ...('PORT' in env ? { args: [root] } : {}) });

    expect(failure).toContain(message);
    expect(failure.trimEnd()).not.toContain('\n');
  });

  it.each<[string, [string, string], string]>([
    ['local.settings.json is broken', ['local.settings.json', '{"Values":'], 'local.settings.json'],
    [
      'the build is missing and cannot be made',
      ['functions/health.ts', 'export {'],
      'Cannot build: ',
    ],
  ])('says in one line that %s', async (_case, [path, content], message) => {
    const broken = await copyFixtureApp();
    await writeFile(join(broken, path), content);

    const failure = await startAndFail({ args: [broken, '--port', '0'] });

    expect(failure).toContain(message);
    expect(failure.trimEnd()).not.toContain('\n');
    await rm(broken, { recursive: true, force: true });
  });
});

function start(options: ScriptOptions = {}): RunningScript {
  return runScript(join(FIXTURES, 'run-start.ts'), { args: [root, '--port', '0'], ...options });
}

/** What a start that must fail wrote to standard error. */
async function startAndFail(options: ScriptOptions): Promise<string> {
  const run = start(options);
  const { code } = await run.ended;
  expect(code).toBe(1);
  expect(run.stdout()).not.toMatch(READY);
  return run.stderr();
}

function address(run: RunningScript): { readonly url: string; readonly port: number } {
  const [, url = '', port = ''] = READY.exec(run.stdout()) ?? [];
  return { url, port: Number(port) };
}
