import { describe, expect, it } from 'vitest';
import { createModelUnderTest, failureOf } from '../support/model-under-test.ts';
import { answer, refuse, say, startScriptedUpstream } from '../support/scripted-upstream.ts';

const ALLOWED_HEADERS = [
  'accept',
  'accept-encoding',
  'authorization',
  'connection',
  'content-length',
  'content-type',
  'host',
  'traceparent',
  'user-agent',
];

describe('the official client', () => {
  it.each(['complete', 'stream'] as const)('sends only the allowed headers: %s', async (method) => {
    await using upstream = await startScriptedUpstream(say('hello'));
    const underTest = createModelUnderTest({ endpoints: [upstream.baseUrl] });
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

    await underTest[method]({ traceparent });

    const headers = upstream.requests[0]?.headers ?? {};
    expect(Object.keys(headers).toSorted()).toEqual(ALLOWED_HEADERS);
    expect(headers).toMatchObject({ 'accept-encoding': 'identity', traceparent });
  });

  it('never retries by itself, also where the endpoint asks for it', async () => {
    await using upstream = await startScriptedUpstream(
      refuse(500, {}, { 'x-should-retry': 'true', 'retry-after-ms': '1' }),
    );
    const { complete } = createModelUnderTest({
      endpoints: [upstream.baseUrl],
      settings: { maxAttempts: 1 },
    });

    await failureOf(complete());

    expect(upstream.requests).toHaveLength(1);
  });

  it.each([600, 799, 999])('reads the status %i, which fetch cannot represent', async (status) => {
    await using upstream = await startScriptedUpstream(answer(status));
    const { complete } = createModelUnderTest({
      endpoints: [upstream.baseUrl],
      settings: { maxAttempts: 1 },
    });

    expect((await failureOf(complete())).code).toBe('upstream_unavailable');
  });

  it('reads at most 64 KiB of an error and closes its connection', async () => {
    await using upstream = await startScriptedUpstream(
      refuse(400, { code: 'content_filter', message: 'x'.repeat(30_000_000) }),
    );
    const { complete } = createModelUnderTest({ endpoints: [upstream.baseUrl] });

    const failure = await failureOf(complete());

    expect(failure.code).toBe('upstream_misconfigured');
    expect(await upstream.requests[0]?.leftEarly).toBe(true);
  });

  it.each([
    ['with a slash at the end', (url: string) => `${url}/`],
    ['with slashes at the end', (url: string) => `${url}///`],
  ])('joins a base URL %s with the path', async (_name, toBaseUrl) => {
    await using upstream = await startScriptedUpstream(say('hello'));
    const { complete } = createModelUnderTest({ endpoints: [toBaseUrl(upstream.baseUrl)] });

    await complete();

    expect(upstream.requests[0]?.path).toBe('/v1/chat/completions');
  });
});
