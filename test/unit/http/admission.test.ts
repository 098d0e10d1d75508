import type { HttpRequest } from '@azure/functions';
import { describe, expect, it } from 'vitest';
import { identifyCaller } from '../../../shared/callers/caller.ts';
import type { CallerContext, MeteredContext } from '../../../shared/http/request-context.ts';
import {
  authenticatedHandler,
  meteredHandler,
  type AdmissionDependencies,
} from '../../../shared/http/admission.ts';
import { jsonResponse, type PlainResponse } from '../../../shared/http/responses.ts';
import { createOpenCalls } from '../../../shared/rate-limit/open-calls.ts';
import { startRequest, call, get, postJson, postRaw } from '../../support/http-call.ts';
import { createHandClock, createLimiter } from '../../support/limits.ts';
import { createRecordedTelemetry } from '../../support/recorded-telemetry.ts';
import { bodyLimits, openAdmission } from '../../support/public-handler.ts';

const VICTIM = { 'x-forwarded-for': '192.0.2.1' };

/** A service whose callers each have three requests and a hundred tokens. */
function createNeeds(): AdmissionDependencies {
  const clock = createHandClock();
  const settings = { requestsPerMinute: 3, tokensPerMinute: 100 };
  return {
    telemetry: createRecordedTelemetry(),
    requestBody: bodyLimits(1_024),
    identify: (evidence) =>
      identifyCaller(evidence, {
        trustPrincipal: false,
        requiredRole: undefined,
        needsCredential: false,
        keys: undefined,
        proxiesInFront: 0,
        ipv6PrefixBits: 56,
      }),
    limits: { ...openAdmission.limits, limiter: createLimiter({ settings, clock }), clock },
  };
}

function open(handle: (context: CallerContext) => Promise<PlainResponse>) {
  const needs = createNeeds();
  return authenticatedHandler(async () => needs, handle);
}

function openMetered(handle: (context: MeteredContext) => Promise<PlainResponse>) {
  const needs = createNeeds();
  return meteredHandler(async () => needs, handle);
}

/** The wire headers of a body that the platform has read too and may have copied headers from. */
function announce(request: HttpRequest): Promise<string> {
  return request.clone().text();
}

async function post(handler: ReturnType<typeof open>, request: HttpRequest) {
  const length = String((await announce(request)).length);
  const headers = { 'content-type': 'application/json', 'content-length': length };
  return call(handler, request, startRequest(headers).context);
}

/** The library's request type takes no body for GET, while the wire does. */
function withBody(method: string, body: string): HttpRequest {
  return Object.defineProperty(postRaw(body, VICTIM), 'method', { value: method });
}

function remaining({ headers }: { headers: Record<string, string> }): string | undefined {
  return headers['x-ratelimit-remaining-requests'];
}

const ONE_CALL = { maxPerCaller: 1, maxTotal: 8, maxQueued: 0, queueTimeoutMs: 1_000 };
const READY = 'http://127.0.0.1/v1/models';

describe('authenticatedHandler', () => {
  it('counts each request before the handler runs, and reports what remains', async () => {
    let requests = 0;
    const handler = open(async () => jsonResponse((requests += 1)));

    const answers = [];
    for (let sent = 0; sent < 4; sent += 1) answers.push(await call(handler, get(READY, VICTIM)));
    const other = await call(handler, get(READY, { 'x-forwarded-for': '192.0.2.2' }));

    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 429]);
    expect(answers.map(remaining)).toEqual(['2', '1', '0', '0']);
    expect(answers[3]?.problem().error.code).toBe('rate_limited');
    expect(other.status).toBe(200);
    expect(requests).toBe(4);
  });

  it('names each caller by a hash without personal data', async () => {
    const handler = open(async ({ callerId }) => jsonResponse(callerId));

    const ids = [
      (await call(handler, get(READY, VICTIM))).json(),
      (await call(handler, get(READY, VICTIM))).json(),
      (await call(handler, get(READY, { 'x-forwarded-for': '192.0.2.2' }))).json(),
    ];

    expect(ids[0]).toMatch(/^[\w-]{43}$/);
    expect(ids[1]).toBe(ids[0]);
    expect(ids[2]).not.toBe(ids[0]);
  });

  it('counts a request with a body when the body is known not to forge its sender', async () => {
    const handler = open(async (context) => jsonResponse(await context.readJson()));

    const forged = await post(handler, postJson({ Headers: VICTIM }, VICTIM));
    const honest = await post(handler, postJson({ message: 'Hi' }, VICTIM));

    expect([forged.status, honest.status]).toEqual([400, 200]);
    expect([remaining(forged), remaining(honest)]).toEqual([undefined, '2']);
  });

  it.each(['GET', 'DELETE'])(
    'T10: counts a %s with a body that its route ignores',
    async (method) => {
      const handler = open(async () => jsonResponse({}));
      const send = (body: string) => post(handler, withBody(method, body));

      const honest = [await send('{}'), await send('{}'), await send('{}'), await send('{}')];
      const forged = await send(JSON.stringify({ Headers: VICTIM }));

      expect(honest.map(({ status }) => status)).toEqual([200, 200, 200, 429]);
      expect(forged.status).toBe(400);
    },
  );

  it('T10: counts bodies that cannot be read for a caller of their own', async () => {
    const handler = open(async () => jsonResponse({}));
    const statuses: number[] = [];

    for (let sent = 0; sent < 5; sent += 1) {
      statuses.push((await post(handler, withBody('GET', '{'))).status);
    }
    const honest = await call(handler, get(READY, VICTIM));

    expect(statuses).toEqual([400, 400, 400, 429, 429]);
    expect([honest.status, remaining(honest)]).toEqual([200, '2']);
  });

  it('T10: lets a route read the body that was read for counting', async () => {
    const handler = open(async (context) => jsonResponse(await context.readJson()));

    const answered = await post(handler, withBody('DELETE', '{"a":1}'));

    expect(answered.json()).toEqual({ a: 1 });
  });

  it('discloses no caller id before the body was read', async () => {
    let given: string | undefined;
    const handler = open(async (context) => {
      given = context.callerId;
      return jsonResponse({});
    });

    const answered = await post(handler, postJson({ Headers: VICTIM }, VICTIM));

    expect(answered.status).toBe(400);
    expect(given).toBeUndefined();
  });

  it('counts a request whose body is not JSON once the route marks it', async () => {
    const handler = open(async (context) => {
      await context.markNonJsonBody();
      return jsonResponse(context.callerId);
    });

    const answered = await post(handler, postRaw('--form', VICTIM));

    expect([answered.status, remaining(answered)]).toEqual([200, '2']);
  });
});

describe('meteredHandler', () => {
  it('takes request and tokens at once, and gives the tokens back where they were not used', async () => {
    const handler = openMetered(async (context) => {
      const reservation = await context.reserve(80);
      await reservation.settle(10);
      return jsonResponse({});
    });

    const first = await call(handler, get(READY));
    const second = await call(handler, get(READY));
    const third = await call(handler, get(READY));

    const tokens = [first, second, third].map(
      ({ headers }) => headers['x-ratelimit-remaining-tokens'],
    );
    expect(tokens).toEqual(['20', '10', '0']);
    expect(remaining(third)).toBe('0');
  });

  it('counts a request that was refused before, without tokens', async () => {
    const handler = openMetered(async (context) => {
      await context.readJson();
      throw new RangeError('invalid');
    });

    const first = await post(handler, postJson({}, VICTIM));
    const unread = await post(handler, postRaw('{', VICTIM));
    const answers = [];
    for (let sent = 0; sent < 3; sent += 1) {
      answers.push(await post(handler, postJson({}, VICTIM)));
    }

    expect([first.status, remaining(first)]).toEqual([500, '2']);
    expect(first.headers['x-ratelimit-remaining-tokens']).toBe('100');
    expect([unread.status, remaining(unread)]).toEqual([400, undefined]);
    expect(answers.map(({ status }) => status)).toEqual([500, 500, 429]);
  });

  it('T7: holds a slot of its caller until its stream has ended', async () => {
    const openCalls = createOpenCalls(ONE_CALL);
    const needs = { ...createNeeds(), limits: { ...createNeeds().limits, openCalls } };
    let end: (() => void) | undefined;
    const handler = meteredHandler(
      async () => needs,
      async (context) => {
        await context.readJson();
        await context.reserve(1);
        end ??= context.startStream();
        return jsonResponse({});
      },
    );

    await post(handler, postJson({}, VICTIM));
    const refused = await post(handler, postJson({}, VICTIM));
    const other = await post(handler, postJson({}, { 'x-forwarded-for': '192.0.2.2' }));
    end?.();
    const next = await post(handler, postJson({}, VICTIM));

    expect(refused.status).toBe(429);
    expect(refused.headers['retry-after']).toBe('1');
    expect(refused.problem().detail).toContain('at most 1 may be open at once');
    expect([other.status, next.status]).toEqual([200, 200]);
  });

  it('T7: gives the tokens of a call back that finds no slot', async () => {
    const openCalls = createOpenCalls({ ...ONE_CALL, maxTotal: 0 });
    const needs = { ...createNeeds(), limits: { ...createNeeds().limits, openCalls } };
    const handler = meteredHandler(
      async () => needs,
      async (context) => {
        await context.readJson();
        await context.reserve(80);
        return jsonResponse({});
      },
    );

    const refused = await post(handler, postJson({}, VICTIM));
    const again = await post(handler, postJson({}, VICTIM));

    expect([refused.status, again.status]).toEqual([503, 503]);
    expect(again.problem().error.code).toBe('overloaded');
  });
});
