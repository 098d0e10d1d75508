import { createServer } from 'node:net';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startHost } from '../../../dev/host/start-host.ts';
import type { HostOptions, RunningHost } from '../../../dev/host/start-host.ts';
import { commandOf, descendantsOf } from '../../support/processes.ts';
import { appWith, writeApp } from './support/temporary-app.ts';

const QUEUE = `app.storageQueue('q', { queueName: 'q', connection: 'Storage', handler: () => undefined });`;

async function start(
  files: Parameters<typeof writeApp>[0],
  options: Partial<HostOptions> = {},
): Promise<RunningHost> {
  const appRoot = await writeApp(files);
  const host = await startHost({
    appRoot,
    port: 0,
    environment: {},
    log: () => undefined,
    ...options,
  });
  onTestFinished(() => host.stop());
  return host;
}

describe('a host that cannot start', () => {
  it.each<[string, Parameters<typeof writeApp>[0], string]>([
    ['nothing is built', { 'app.js': undefined }, 'Found zero files matching'],
    ['nothing is registered', { 'app.js': '' }, 'they register none'],
    ['a file throws', { 'app.js': `throw new Error('broken at load')` }, 'broken at load'],
    ['a file ends the process', { 'app.js': 'process.exit(5)' }, 'the worker ended with code 5'],
    ['host.json is missing', { 'host.json': undefined }, 'must exist'],
    ['host.json is no JSON', { 'host.json': '{' }, 'it must be JSON'],
    ['host.json is of another version', { 'host.json': '{"version":"1.0"}' }, `'version' must be`],
    [
      'host.json has a bad duration',
      { 'host.json': '{"version":"2.0","functionTimeout":"5 min"}' },
      "current value is '5 min'",
    ],
    [
      'host.json has a batch too large',
      { 'host.json': '{"version":"2.0","extensions":{"queues":{"batchSize":33}}}' },
      'extensions.queues.batchSize',
    ],
    ['local.settings.json is no JSON', { 'local.settings.json': '{' }, 'local.settings.json'],
    [
      'two functions have one route',
      appWith(
        `app.http('a', { route: 'x', handler: () => ({}) }); app.http('b', { route: 'X', handler: () => ({}) });`,
      ),
      "functions 'a' and 'b'",
    ],
    [
      'a function is registered twice',
      appWith(`app.http('a', { handler: () => ({}) }); app.http('a', { handler: () => ({}) });`),
      'already been registered',
    ],
    [
      'a route is no template',
      appWith(`app.http('a', { route: '{x', handler: () => ({}) });`),
      "function 'a' must be a template",
    ],
    ['a connection is not set', appWith(QUEUE), "setting 'Storage' must be a storage connection"],
    [
      'a setting in percent signs is not set',
      appWith(QUEUE.replace(`'q', connection`, `'%NAME%', connection`)),
      "setting 'NAME' must be there",
    ],
  ])('says so in one clear line when %s', async (_, files, reason) => {
    const failure = await start(files).catch((error: unknown) => error);

    expect(failure).toMatchObject({ name: 'CliError' });
    expect(String(failure)).toContain(reason);
  });

  it('does not repeat a connection string that is wrong, for it may hold a key', async () => {
    const failure = await start(appWith(QUEUE), {
      environment: { Storage: 'AccountKey=s3cret' },
    }).catch(String);

    expect(failure).toContain("'Storage' must be a storage connection string");
    expect(failure).not.toContain('s3cret');
  });

  it('says that an identity is not to be had on this machine', async () => {
    const failure = await start(appWith(QUEUE), {
      environment: { Storage__queueServiceUri: 'https://x.queue.core.windows.net' },
    }).catch(String);

    expect(failure).toContain('asks for an identity, which only Azure has');
  });

  it('says which port is taken', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;

    const failure = await start({}, { port }).catch((error: unknown) => error);
    const children = descendantsOf(process.pid).filter((pid) => commandOf(pid).includes('worker'));

    expect(failure).toMatchObject({
      name: 'CliError',
      code: 'EADDRINUSE',
      message: `Cannot start as port ${port} must be free: another process uses it`,
    });
    expect(children).toEqual([]);
  });
});

describe('a host that starts', () => {
  it('takes the Values of local.settings.json below the settings it is given', async () => {
    const host = await start(
      {
        ...appWith(
          `app.http('a', { handler: () => ({ body: process.env.ONE + process.env.TWO }) });`,
        ),
        'local.settings.json': '{"IsEncrypted":false,"Values":{"ONE":"file","TWO":"file"}}',
      },
      { environment: { TWO: 'given' } },
    );

    expect(await (await fetch(`${host.url}/a`)).text()).toBe('filegiven');
  });

  it('refuses a function that is registered too late', async () => {
    const host = await start(
      appWith(
        `app.http('a', { handler: () => { try { app.http('b', { handler: () => ({}) }); return { body: 'taken' }; } catch (error) { return { body: error.message }; } } });`,
      ),
    );

    expect(await (await fetch(`${host.url}/a`)).text()).toContain('during app startup');
  });

  it('requires a .cjs file of a package of modules', async () => {
    const host = await start({
      'package.json': '{"name":"app","type":"module","main":"app.cjs"}',
      'app.cjs': `require('@azure/functions').app.http('a', { handler: () => ({ body: 'cjs' }) });`,
    });

    expect(await (await fetch(`${host.url}/a`)).text()).toBe('cjs');
  });

  it('runs a bundle that requires the core package itself', async () => {
    const host = await start({
      'app.js': [
        `import { createRequire } from 'node:module';`,
        `const core = createRequire(import.meta.url)('@azure/functions-core');`,
        `import { app } from '@azure/functions';`,
        `app.http('a', { handler: () => ({ body: typeof core.registerFunction }) });`,
      ].join('\n'),
    });

    expect(await (await fetch(`${host.url}/a`)).text()).toBe('function');
  });
});
