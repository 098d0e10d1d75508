import { describe, expect, it } from 'vitest';
import { readHostConfig } from '../../../dev/host/host-config.ts';
import { createLog } from '../../../dev/host/host-log.ts';
import type { HostLogLine } from '../../../dev/host/host-log.ts';
import { readRequestTarget } from '../../../dev/host/http/request-target.ts';
import { mergeObject } from '../../../dev/host/merge-metadata.ts';
import { createPollingInterval } from '../../../dev/host/queue/polling-interval.ts';
import { readLocalSettings } from '../../../dev/host/settings-file.ts';
import { parseTimeSpan } from '../../../dev/host/time-span.ts';
import { REAL_TIMINGS } from '../../../dev/host/timings.ts';
import { workerEnvironment } from '../../../dev/host/workers/worker-environment.ts';
import { createRestartPolicy } from '../../../dev/host/workers/restart-policy.ts';
import { writeApp } from './support/temporary-app.ts';

describe('host.json', () => {
  it('has the defaults of the platform', async () => {
    const appRoot = await writeApp({ 'host.json': '{"version":"2.0"}' });

    const config = readHostConfig(appRoot, {});

    expect(config.functionTimeoutMs).toBe(30 * 60_000);
    expect(config.http).toMatchObject({
      routePrefix: 'api',
      maxConcurrentRequests: -1,
      maxOutstandingRequests: -1,
    });
    expect(config.queues).toMatchObject({
      batchSize: 16,
      maxPollingMs: 2_000,
      retryDelayMs: 0,
      maxDequeueCount: 5,
      messageEncoding: 'base64',
    });
  });

  it('polls once a minute at least outside development, and may have no timeout', async () => {
    const appRoot = await writeApp({ 'host.json': '{"version":"2.0","functionTimeout":"-1"}' });

    const config = readHostConfig(appRoot, { AZURE_FUNCTIONS_ENVIRONMENT: 'Production' });

    expect(config.functionTimeoutMs).toBeUndefined();
    expect(config.queues.maxPollingMs).toBe(60_000);
  });

  it('is overridden by settings that name a path in it', async () => {
    const appRoot = await writeApp();

    const { queues } = readHostConfig(appRoot, {
      AzureFunctionsJobHost__extensions__queues__batchSize: '3',
    });

    expect(queues.batchSize).toBe(3);
  });

  it.each([
    ['00:05:00', 300_000],
    ['1.00:00:00', 86_400_000],
    ['00:00:00.250', 250],
    ['24:00:00', undefined],
    ['5', undefined],
  ])('reads the duration %s', (text, expected) => {
    expect(parseTimeSpan(text)).toBe(expected);
  });
});

describe('local.settings.json', () => {
  it('may be missing, and gives its Values', async () => {
    expect(readLocalSettings(await writeApp())).toEqual({});
    expect(
      readLocalSettings(await writeApp({ 'local.settings.json': '{"Values":{"A":"1"}}' })),
    ).toEqual({ A: '1' });
  });

  it('F14 may have comments, trailing commas, numbers and booleans, as under Core Tools', async () => {
    const app = await writeApp({
      'local.settings.json': `\uFEFF{
        // The settings of this machine.
        "IsEncrypted": false, /* and "Values": {} */
        "Values": {
          "PORT": 7071, "ON": true, "OFF": false, "NONE": null,
          "URL": "https://a.example/*x*/", // "no": "value"
          "QUOTED": "a \\"//b\\" ,}",
        },
      }`,
    });

    expect(readLocalSettings(app)).toEqual({
      PORT: '7071',
      ON: 'True',
      OFF: 'False',
      NONE: '',
      URL: 'https://a.example/*x*/',
      QUOTED: 'a "//b" ,}',
    });
  });

  it('is refused when a value is a list or the file is encrypted', async () => {
    const notText = await writeApp({ 'local.settings.json': '{"Values":{"A":[1]}}' });
    const encrypted = await writeApp({ 'local.settings.json': '{"IsEncrypted":true}' });

    expect(() => readLocalSettings(notText)).toThrow("'Values.A' must be");
    expect(() => readLocalSettings(encrypted)).toThrow("'IsEncrypted' must be");
  });
});

describe('the delays between polls of an empty queue', () => {
  it('grow from the shortest to the longest and start again after a message', () => {
    const interval = createPollingInterval({ minMs: 100, maxMs: 2_000, random: () => 0.5 });

    const waits = Array.from({ length: 6 }, () => interval.next(false));

    expect(waits).toEqual([200, 400, 800, 1_600, 2_000, 2_000]);
    expect(interval.next(true)).toBe(100);
    expect(interval.next(false)).toBe(200);
  });

  it('are spread by a fifth', () => {
    const first = (random: number): number =>
      createPollingInterval({ minMs: 100, maxMs: 2_000, random: () => random }).next(false);

    expect(first(0)).toBe(180);
    expect(first(1)).toBe(220);
  });
});

describe('the target of a request', () => {
  it.each([
    ['/a/b?x=%2F', '/a/b', '/a/b', '?x=%2F'],
    ['/a%2Fb', '/a%2Fb', '/a%252Fb', ''],
    ['/%41%C3%A9', '/A\u00E9', '/A%C3%A9', ''],
    ['/a%20%2Fb', '/a %2Fb', '/a%20%252Fb', ''],
    ['/a%25b', '/a%b', '/a%25b', ''],
    ['/a%zz', '/a%zz', '/a%25zz', ''],
    ['/a%FF', '/a%FF', '/a%25FF', ''],
    ['/a/../b/./c/..', '/b/', '/b/', ''],
    ['http://host:1/a?b', '/a', '/a', '?b'],
  ])('%s is matched as %s and forwarded as %s', (url, ...expected) => {
    const target = readRequestTarget(url);

    expect([target?.path, target?.forwardedPath, target?.search]).toEqual(expected);
  });

  it.each(['/a%00', '*'])('%s is refused', (url) => {
    expect(readRequestTarget(url)).toBeUndefined();
  });
});

describe('properties of a message', () => {
  it('may have any name without harm', () => {
    const metadata = {};

    mergeObject(metadata, { names: new Map(), text: '{"__proto__":{"a":1},"b":2.5}' });

    expect(Object.keys(metadata)).toEqual(['__proto__', 'b']);
    expect({}).not.toHaveProperty('a');
  });

  it.each(['[1]', 'text', '{broken}', ''])('are none of %s', (text) => {
    const metadata = {};

    mergeObject(metadata, { names: new Map(), text });

    expect(metadata).toEqual({});
  });
});

describe('the properties of a message that is nested deeply', () => {
  const nested = (levels: number): string => '{"a":'.repeat(levels) + '1' + '}'.repeat(levels);

  it('are merged up to 64 levels, braces in texts not counted', () => {
    const metadata = {};
    const text = `{"b":"{[\\"{","a":${nested(63)}}`;

    mergeObject(metadata, { names: new Map(), text });

    expect(Object.keys(metadata)).toEqual(['b', 'a']);
  });

  it.each([65, 6_000, 100_000])('are none beyond that: %s levels', (levels) => {
    const metadata = {};

    mergeObject(metadata, { names: new Map(), text: nested(levels) });

    expect(metadata).toEqual({});
  });
});

describe('the restart of a crashed worker', () => {
  it('follows the constants of the real host', () => {
    const policy = createRestartPolicy(REAL_TIMINGS);

    expect(policy.onCrash(0)).toEqual({ delayMs: 0 });
    policy.onRestart(0);
    expect(policy.onCrash(4_000)).toEqual({ delayMs: 6_000 });
    policy.onRestart(10_000);
    expect(policy.onCrash(29 * 60_000)).toBe('stop');
  });

  it('ignores crashes older than half an hour', () => {
    const policy = createRestartPolicy(REAL_TIMINGS);
    policy.onCrash(0);
    policy.onCrash(1);

    expect(policy.onCrash(31 * 60_000)).toEqual({ delayMs: 0 });
  });
});

describe('the constants of the real host', () => {
  it('equal those of the real host', () => {
    expect(REAL_TIMINGS).toMatchObject({
      timeoutGraceMs: 2_000,
      timeoutAnswerMs: 10_000,
      forwardActivityMs: 240_000,
      httpDrainMs: 30_000,
      jobHostDrainMs: 10_000,
      terminateGraceMs: 5_000,
      giveUpResetMs: 30_000,
      messageInvisibleMs: 600_000,
      minPollingMs: 100,
    });
  });
});

describe('the log', () => {
  it('honours the levels of host.json by the longest category', () => {
    const lines: HostLogLine[] = [];
    const log = createLog({
      levels: { default: 'Warning', 'Function.a': 'Debug' },
      write: (line) => void lines.push(line),
    });

    log('information', 'Host.Results', 'no');
    log('warning', 'Host.Results', 'yes');
    log('debug', 'Function.a.User', 'yes');
    log('information', 'Function.ab', 'no');
    log('trace', 'Host.Local', 'yes');

    expect(lines.map(({ message }) => message)).toEqual(['yes', 'yes', 'yes']);
  });
});

describe('the environment of a worker', () => {
  it('has the settings and the basics of a process, and nothing else of this shell', () => {
    const own = { PATH: '/bin', HOME: '/home', SECRET_OF_THIS_SHELL: 'x' };

    expect(workerEnvironment({ A: '1', HOME: '/other' }, own)).toEqual({
      PATH: '/bin',
      HOME: '/other',
      A: '1',
    });
  });
});
