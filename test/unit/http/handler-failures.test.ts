import { InvocationContext } from '@azure/functions';
import { describe, expect, it } from 'vitest';
import { ServiceError } from '../../../shared/errors.ts';
import type { RouteHandler, HandlerDependencies } from '../../../shared/http/request-context.ts';
import { publicHandler } from '../../../shared/http/handler.ts';
import { jsonResponse, type PlainResponse } from '../../../shared/http/responses.ts';
import { call, get } from '../../support/http-call.ts';
import type { Telemetry } from '../../../shared/telemetry/telemetry.ts';
import { createRecordedTelemetry } from '../../support/recorded-telemetry.ts';
import { bodyLimits } from '../../support/public-handler.ts';

const URL_OF_READY = 'http://127.0.0.1/ready';

function setUp(answer: RouteHandler<HandlerDependencies>) {
  const telemetry = createRecordedTelemetry();
  const handler = publicHandler(
    async () => ({ telemetry, requestBody: bodyLimits(1_024) }),
    answer,
  );
  return { handler, telemetry };
}

function failing(thrown: unknown): RouteHandler<HandlerDependencies> {
  return () => Promise.reject(thrown);
}

/** Values that code may throw. */
const THROWN: readonly [string, unknown][] = [
  ['an error', new Error('sk-secret at https://upstream.internal/key')],
  ['a text', 'sk-secret'],
  ['undefined', undefined],
  ['null', null],
  ['a number', 42],
  ['an object', { message: 'sk-secret', status: 400, code: 'invalid_json' }],
  ['an error without class', Object.assign(new Error('sk-secret'), { constructor: undefined })],
  ['an error that causes itself', causingItself()],
  ['an error without stack', Object.assign(new Error('sk-secret'), { stack: undefined })],
  ['a hostile error', hostileError()],
];

function causingItself(): Error {
  const error = new Error('sk-secret');
  error.cause = error;
  return error;
}

function hostileError(): Error {
  return Object.defineProperty(new Error('sk-secret'), 'stack', {
    get() {
      throw new Error('sk-secret');
    },
  });
}

describe('publicHandler, when something fails', () => {
  it.each(THROWN)('answers fixed text when the answer throws %s', async (_name, thrown) => {
    const { handler, telemetry } = setUp(failing(thrown));

    const answered = await call(handler, get(URL_OF_READY));

    expect(answered.status).toBe(500);
    expect(answered.problem()).toMatchObject({
      detail: 'The service failed to handle this request',
      retryable: false,
      error: { code: 'internal' },
    });
    expect(answered.text).not.toMatch(/secret|upstream|\.ts|at /);
    expect(telemetry.at('error').length).toBeLessThanOrEqual(1);
    expect(JSON.stringify(telemetry.lines)).not.toContain('secret');
  });

  it('logs a defect once, at error level, with its place and without its message', async () => {
    const { handler, telemetry } = setUp(failing(new RangeError('sk-secret')));

    await call(handler, get(URL_OF_READY));

    expect(telemetry.lines).toMatchObject([
      {
        level: 'error',
        message: 'request failed',
        fields: { code: 'internal', cause: 'RangeError' },
      },
    ]);
    expect(telemetry.lines[0]?.fields['place']).toContain('handler-failures.test.ts');
  });

  it.each(THROWN)('answers fixed text when the service rejects with %s', async (_name, thrown) => {
    const logged: unknown[] = [];
    const context = new InvocationContext({ logHandler: (...line) => void logged.push(line) });
    const handler = publicHandler<HandlerDependencies>(
      () => Promise.reject(thrown),
      async () => jsonResponse({}),
    );

    const answered = await call(handler, get(URL_OF_READY), context);

    expect(answered.status).toBe(500);
    expect(answered.problem().error.code).toBe('internal');
    expect(logged.length).toBeLessThanOrEqual(1);
    expect(JSON.stringify([logged, answered.text])).not.toContain('secret');
  });

  it('logs to the platform why the service could not start', async () => {
    const logged: unknown[] = [];
    const context = new InvocationContext({ logHandler: (...line) => void logged.push(line) });
    const handler = publicHandler<HandlerDependencies>(
      () => Promise.reject(new TypeError('sk-secret')),
      async () => jsonResponse({}),
    );

    await call(handler, get(URL_OF_READY), context);

    expect(logged).toEqual([
      [
        'error',
        'service failed to start',
        'TypeError',
        expect.stringContaining('handler-failures.test.ts'),
      ],
    ]);
  });

  it('answers when getting the service throws at once', async () => {
    const handler = publicHandler<HandlerDependencies>(
      () => {
        throw new ServiceError('config_unavailable', 'Not configured');
      },
      async () => jsonResponse({}),
    );

    const answered = await call(handler, get(URL_OF_READY));

    expect(answered.status).toBe(503);
    expect(answered.headers['retry-after']).toBe('5');
  });

  it('answers even if every log call fails', async () => {
    const fail = (): never => {
      throw new Error('disk full');
    };
    const telemetry: Telemetry = {
      debug: fail,
      info: fail,
      warn: fail,
      error: fail,
      audit: fail,
      with: () => telemetry,
      count: fail,
      record: fail,
      startSpan: fail,
    };
    const handler = publicHandler(
      async () => ({ telemetry, requestBody: bodyLimits(0) }),
      async () => jsonResponse({}),
    );

    const answered = await call(handler, get(URL_OF_READY));

    expect(answered.status).toBe(500);
  });

  it.each([
    ['nothing', undefined],
    ['null', null],
    ['a status below 200', { status: 100 }],
    ['a status above 599', { status: 999 }],
    ['a header with a line feed', { headers: { 'x-a': 'a\r\nset-cookie: b=c' } }],
    ['a header beyond Latin-1', { headers: { 'x-a': '日本' } }],
  ])('answers 500 instead of hanging when an answer returns %s', async (_name, response) => {
    const { handler, telemetry } = setUp(async () => response as PlainResponse);

    const answered = await call(handler, get(URL_OF_READY));

    expect(answered.status).toBe(500);
    expect(telemetry.at('error')).toHaveLength(1);
  });
});
