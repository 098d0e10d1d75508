import { HttpRequest, InvocationContext } from '@azure/functions';
import { describe, expect, it } from 'vitest';
import { ServiceError } from '../../../shared/errors.ts';
import type { RouteHandler, HandlerDependencies } from '../../../shared/http/request-context.ts';
import { publicHandler } from '../../../shared/http/handler.ts';
import { jsonResponse } from '../../../shared/http/responses.ts';
import { startRequest, call, get, open, postRaw, URL_OF_CHAT } from '../../support/http-call.ts';
import { createRecordedTelemetry } from '../../support/recorded-telemetry.ts';
import { bodyLimits } from '../../support/public-handler.ts';

const URL_OF_READY = 'http://127.0.0.1/ready';
const CALLER_TRACE = '00-33333333333333333333333333333333-4444444444444444-01';
const HOST_TRACE = '00-11111111111111111111111111111111-2222222222222222-01';

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

describe('publicHandler', () => {
  it('answers with the ids of the request and logs one line', async () => {
    const { handler, telemetry } = setUp(async () => jsonResponse({ ok: true }));

    const answered = await call(
      handler,
      get(URL_OF_READY, { 'x-request-id': 'req-1', traceparent: CALLER_TRACE }),
    );

    expect(answered.status).toBe(200);
    expect(answered.headers).toMatchObject({ 'x-request-id': 'req-1', traceparent: CALLER_TRACE });
    expect(telemetry.lines).toMatchObject([
      {
        level: 'info',
        message: 'request answered',
        fields: {
          requestId: 'req-1',
          traceId: CALLER_TRACE.slice(3, 35),
          route: 'chat',
          status: 200,
        },
      },
    ]);
  });

  it("takes the host's trace when there is one", async () => {
    const { handler } = setUp(async () => jsonResponse({}));
    const traceContext = { traceParent: HOST_TRACE, traceState: '', attributes: {} };
    const context = new InvocationContext({ functionName: 'chat', traceContext });

    const answered = await call(handler, get(URL_OF_READY, { traceparent: CALLER_TRACE }), context);

    expect(answered.headers['traceparent']).toBe(HOST_TRACE);
  });

  it("takes the caller's trace when the host's is the empty string", async () => {
    const { handler } = setUp(async () => jsonResponse({}));
    const traceContext = { traceParent: '', traceState: '', attributes: {} };
    const context = new InvocationContext({ functionName: 'chat', traceContext });

    const answered = await call(handler, get(URL_OF_READY, { traceparent: CALLER_TRACE }), context);

    expect(answered.headers['traceparent']).toBe(CALLER_TRACE);
  });

  it('reads headers from the wire and not from what the host makes of them', async () => {
    const { handler } = setUp(async ({ header }) => jsonResponse([header('X-Caller-Key')]));
    const started = startRequest({ 'x-request-id': 'raw-1', 'x-caller-key': 'raw' });

    const overridden = get(URL_OF_READY, { 'x-request-id': 'forged', 'x-caller-key': 'forged' });
    const answered = await call(handler, overridden, started.context);

    expect(answered.json()).toEqual(['raw']);
    expect(answered.headers['x-request-id']).toBe('raw-1');
  });

  it('refuses a query that overrides the headers before anything else happens', async () => {
    let handled = 0;
    const handler = publicHandler(
      async () => {
        handled += 1;
        return { telemetry: createRecordedTelemetry(), requestBody: bodyLimits(0) };
      },
      async () => jsonResponse({}),
    );

    const answered = await call(handler, get(`${URL_OF_READY}?Headers={"x-request-id":"a"}`));

    expect(answered.status).toBe(400);
    expect(answered.problem().error).toMatchObject({ code: 'invalid_request', param: 'headers' });
    expect(handled).toBe(0);
  });

  it('answers a ServiceError with its status, code, field and header', async () => {
    const { handler, telemetry } = setUp(
      failing(
        new ServiceError('rate_limited', 'Too many', { retryAfterSeconds: 1.5, param: 'message' }),
      ),
    );

    const answered = await call(handler, get(URL_OF_READY));

    expect(answered.status).toBe(429);
    expect(answered.headers).toMatchObject({
      'content-type': 'application/problem+json',
      'retry-after': '2',
    });
    expect(answered.problem()).toMatchObject({
      requestId: answered.headers['x-request-id'],
      error: { code: 'rate_limited', param: 'message' },
    });
    expect(telemetry.lines).toMatchObject([{ level: 'info', fields: { code: 'rate_limited' } }]);
  });

  it('answers 499 and logs at info when the client disconnected, whatever is thrown then', async () => {
    const started = startRequest();
    const { handler, telemetry } = setUp(async ({ clientDisconnected }) => {
      started.disconnect();
      clientDisconnected.throwIfAborted();
      return jsonResponse({});
    });

    const response = await open(handler, get(URL_OF_READY), started.context);

    expect(response.status).toBe(499);
    expect(telemetry.lines).toMatchObject([{ level: 'info', message: 'client disconnected' }]);
  });

  it('sees a client that disconnected before its handler started', async () => {
    const started = startRequest();
    started.disconnect();
    const { handler } = setUp(async ({ clientDisconnected }) =>
      jsonResponse([clientDisconnected.aborted]),
    );

    const answered = await call(handler, get(URL_OF_READY), started.context);

    expect(answered.json()).toEqual([true]);
  });

  it('limits the body to the size of the setting', async () => {
    const { handler } = setUp(async (context) => jsonResponse(await context.readJson()));

    const answered = await call(handler, postRaw(`"${'a'.repeat(1_023)}"`));

    expect(answered.status).toBe(413);
  });

  it('answers in the same way over and over from one handler', async () => {
    const { handler } = setUp(async ({ requestId }) => jsonResponse(requestId));

    const all = await Promise.all(
      Array.from({ length: 20 }, (_, at) =>
        call(handler, get(URL_OF_READY, { 'x-request-id': `id-${at}` })),
      ),
    );

    expect(all.map((one) => one.json())).toEqual(all.map((_, at) => `id-${at}`));
  });

  it('survives a request without any header or body', async () => {
    const { handler } = setUp(async (context) => jsonResponse(await context.readJson()));

    const answered = await call(handler, new HttpRequest({ url: URL_OF_CHAT, method: 'POST' }));

    expect(answered.status).toBe(415);
  });
});
