import type { HttpRequest } from '@azure/functions';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { startBreakProxy, type Breakage, type BreakProxy } from '../support/batch/break-proxy.ts';
import { itemOf, messages } from '../support/batch/jobs.ts';
import {
  createRouteEnvironment,
  creationOf,
  requestFor,
  uploadOf,
  type RouteName,
  type RouteEnvironment,
} from '../support/batch/route-environment.ts';
import {
  startStorageEnvironment,
  type StorageEnvironment,
} from '../support/batch/storage-environment.ts';
import { call, open } from '../support/http-call.ts';

const TEXT = messages(2_000)
  .map((message) => `${JSON.stringify(itemOf(message))}\n`)
  .join('');
const idSchema = z.object({ id: z.string() });

let environment: StorageEnvironment;
let proxies: readonly BreakProxy[];
let routes: RouteEnvironment;
/** How requests to blobs and to queues fail now. */
let blobs: (path: string) => Breakage | undefined;
let queues: () => Breakage | undefined;
let fileId: string;
let batchId: string;

beforeAll(async () => {
  blobs = queues = () => undefined;
  environment = await startStorageEnvironment();
  const { blobPort, queuePort } = environment;
  const [blob, queue] = await Promise.all([
    startBreakProxy({ targetPort: blobPort, breaks: ({ url = '' }) => blobs(url) }),
    startBreakProxy({ targetPort: queuePort, breaks: () => queues() }),
  ]);
  proxies = [blob, queue];
  routes = createRouteEnvironment(
    environment.connectionString
      .replace(`:${blobPort}/`, `:${blob.port}/`)
      .replace(`:${queuePort}/`, `:${queue.port}/`),
  );
  const { upload, create } = routes.handlers;
  fileId = idSchema.parse((await call(upload, uploadOf(TEXT))).json()).id;
  batchId = idSchema.parse((await call(create, creationOf(fileId))).json()).id;
});

beforeEach(() => {
  blobs = queues = () => undefined;
});

afterAll(async () => {
  await Promise.all(proxies.map((proxy) => proxy.close()));
  await environment.stop();
});

/** A request to each route, by its purpose. */
function requests(): readonly (readonly [RouteName, HttpRequest])[] {
  return [
    ['upload', uploadOf(TEXT)],
    ['file', requestFor(fileId)],
    ['content', requestFor(fileId)],
    ['create', creationOf(fileId)],
    ['batch', requestFor(batchId)],
    ['list', requestFor()],
    ['cancel', requestFor(batchId)],
    ['retry', requestFor(batchId)],
    ['removal', requestFor(fileId)],
  ];
}

async function askAll(asked = requests()) {
  return Promise.all(
    asked.map(async ([name, request]) => ({
      name,
      ...(await call(routes.handlers[name], request)),
    })),
  );
}

interface Trouble {
  readonly breakage: Breakage;
  readonly code: string;
  readonly inTheLog: RegExp;
}

const away = (breakage: Breakage, inTheLog: RegExp): Trouble => {
  return { breakage, code: 'storage_unavailable', inTheLog };
};
const AWAY: Readonly<Record<string, Trouble>> = {
  'refuses every connection': away('refused', /RestError (?:ECONNRESET|REQUEST_SEND_ERROR)/),
  'never answers': away('silent', /StorageTimeoutError timeout/),
  'is busy': away({ status: 503, code: 'ServerBusy' }, /RestError (?:ServerBusy )?503/),
  fails: away({ status: 500, code: 'InternalError' }, /RestError (?:InternalError )?500/),
};
const notOurs = (breakage: Breakage, inTheLog: RegExp): Trouble => {
  return { breakage, code: 'config_unavailable', inTheLog };
};
const TROUBLE: Readonly<Record<string, Trouble>> = {
  ...AWAY,
  'refuses us': notOurs({ status: 403, code: 'AuthorizationFailure' }, /RestError .*403/),
  'has no such container': notOurs({ status: 404, code: 'ContainerNotFound' }, /RestError .*404/),
};

describe('files and batches while storage fails', () => {
  it.each(Object.entries(TROUBLE))('%s: 503 without details of storage', async (...testCase) => {
    const [, { breakage, code, inTheLog }] = testCase;
    const before = routes.telemetry.lines.length;
    blobs = () => breakage;

    const answers = await askAll();

    for (const answer of answers) {
      const { retryable, error } = answer.problem();
      expect([answer.name, answer.status, error.code, retryable]).toEqual([
        answer.name,
        503,
        code,
        true,
      ]);
      expect(answer.headers['retry-after']).toBe('5');
      expect(answer.text).not.toMatch(/words of storage|127\.0\.0\.1|devstore|http|RestError/);
    }
    const lines = routes.telemetry.lines.slice(before);
    expect(lines).toHaveLength(answers.length);
    for (const { level, message, fields } of lines) {
      expect([level, message, fields['code']]).toEqual(['warn', 'request failed', code]);
      expect(fields['cause']).toMatch(inTheLog);
    }
    await expect(routes.ping()).rejects.toMatchObject({ code });

    blobs = () => undefined;
    const [, ...kept] = requests().slice(0, -2);
    const again = await askAll(kept);
    expect(again.map(({ status }) => status)).toEqual(kept.map(() => 200));
    await routes.ping();
  });

  it('still reports a missing file as missing', async () => {
    const absent = `file-${'0'.repeat(32)}`;

    const answers = await askAll([
      ['file', requestFor(absent)],
      ['content', requestFor(absent)],
      ['removal', requestFor(absent)],
      ['batch', requestFor('batch_none')],
    ]);

    expect(answers.map((answer) => answer.problem().error.code)).toEqual(
      Array(4).fill('not_found'),
    );
  });

  it.each(Object.entries(AWAY))(
    '%s to queues: no batch, and one after the outage',
    async (...testCase) => {
      const [, { breakage }] = testCase;
      queues = () => breakage;

      const refused = await call(routes.handlers.create, creationOf(fileId));
      queues = () => undefined;
      const taken = await call(routes.handlers.create, creationOf(fileId));

      expect([refused.status, refused.problem().error.code]).toEqual([503, 'storage_unavailable']);
      expect(taken.status).toBe(200);
    },
  );
});

describe('the content of a file', () => {
  let bigId: string;
  beforeAll(async () => {
    const big = await call(routes.handlers.upload, uploadOf(TEXT.repeat(20)));
    bigId = idSchema.parse(big.json()).id;
  });

  /** Breaks the response with the content, after the one with the owner of the file. */
  function breakContent(how: Breakage): void {
    let looks = 0;
    blobs = () => ((looks += 1) === 1 ? undefined : how);
  }

  it('ends as a broken response when storage stops sending', async () => {
    breakContent('stuck');

    const response = await open(routes.handlers.content, requestFor(bigId));
    const reading = response.text();

    expect(response.status).toBe(200);
    await expect(reading).rejects.toThrow();
    const last = routes.telemetry.lines.at(-1);
    expect([last?.level, last?.message]).toEqual(['error', 'file stream aborted']);
    expect(last?.fields['code']).toBe('storage_unavailable');
  });

  it('is an error when storage fails before the first byte', async () => {
    breakContent('stillborn');

    const answer = await call(routes.handlers.content, requestFor(bigId));

    expect([answer.status, answer.problem().error.code]).toEqual([503, 'storage_unavailable']);
  });
});
