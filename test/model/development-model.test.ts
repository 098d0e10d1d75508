import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  startDevelopmentModel,
  type DevelopmentModel,
} from '../../dev/model/start-development-model.ts';
import { createModelUnderTest } from '../support/model-under-test.ts';

let upstream: DevelopmentModel;

beforeAll(async () => {
  upstream = await startDevelopmentModel({ tokenDelayMs: 0, scale: 0.01 });
});

afterAll(() => upstream.stop());

/** Name, outcome of a whole call, outcome of a stream. */
const ENDINGS = [
  ['development-model', 'stop', 'stop'],
  ['dev/length', 'length', 'length'],
  ['dev/429-ms-200', 'stop', 'stop'],
  ['dev/429-x-ms-200', 'stop', 'stop'],
  ['dev/429-date-past', 'stop', 'stop'],
  ['dev/429-nonsense', 'stop', 'stop'],
  ['dev/429-always-90', 'upstream_rate_limited', 'upstream_rate_limited'],
  ['dev/quota', 'upstream_quota', 'upstream_quota'],
  ['dev/503-html-then-ok', 'stop', 'stop'],
  ['dev/500-always', 'upstream_unavailable', 'upstream_unavailable'],
  ['dev/reset', 'upstream_unavailable', 'upstream_unavailable'],
  ['dev/reset-then-ok', 'stop', 'stop'],
  ['dev/cut-3', 'upstream_unavailable', 'upstream_interrupted'],
  ['dev/fin-3', 'upstream_invalid', 'upstream_interrupted'],
  ['dev/no-done', 'stop', 'stop'],
  ['dev/empty-stream', 'upstream_invalid', 'upstream_interrupted'],
  ['dev/empty-stream-then-ok', 'stop', 'stop'],
  ['dev/error-in-stream-3', 'upstream_invalid', 'upstream_interrupted'],
  ['dev/stall-3', 'upstream_timeout', 'upstream_timeout'],
  ['dev/sse-bad-json', 'stop', 'upstream_invalid'],
  ['dev/sse-long-line', 'stop', 'upstream_invalid'],
  ['dev/sse-crlf', 'stop', 'stop'],
  ['dev/sse-bom', 'stop', 'stop'],
  ['dev/sse-split-utf8', 'stop', 'stop'],
  ['dev/sse-comments', 'stop', 'stop'],
  ['dev/200-html', 'upstream_invalid', 'upstream_invalid'],
  ['dev/200-empty-object', 'upstream_invalid', 'upstream_interrupted'],
  ['dev/200-truncated', 'upstream_invalid', 'upstream_invalid'],
  ['dev/200-bad-tool-calls', 'upstream_invalid', 'upstream_invalid'],
  ['dev/content-filter', 'content_filtered', 'content_filtered'],
  ['dev/content-filter-stream-3', 'content_filtered', 'content_filtered'],
  ['dev/context-length-0', 'context_too_long', 'context_too_long'],
  ['dev/deprecated-param', 'stop', 'stop'],
  ['dev/401', 'upstream_auth', 'upstream_auth'],
  ['dev/404', 'upstream_misconfigured', 'upstream_misconfigured'],
  ['dev/307', 'upstream_misconfigured', 'upstream_misconfigured'],
] as const;

describe('the development model', () => {
  it.each(ENDINGS)('%s ends as %s, streamed as %s', async (name, whole, streamed) => {
    upstream.reset();
    const endpoints = [{ baseUrl: upstream.url, model: name }];
    // Short only where a time limit ends the call; elsewhere a busy machine needs more time.
    const endsByTime = [whole, streamed].some((ending) => ending === 'upstream_timeout');
    const settings = endsByTime
      ? { attemptTimeoutMs: 600, firstTokenTimeoutMs: 600, idleTimeoutMs: 200 }
      : {};

    const answered = await createModelUnderTest({ endpoints, settings })
      .complete()
      .then(
        ({ finishReason }) => finishReason,
        (error: { code: string }) => error.code,
      );
    upstream.reset();
    const { answer, error } = await createModelUnderTest({ endpoints, settings }).stream();

    expect(answered).toBe(whole);
    expect(answer?.finishReason ?? (error as { code: string }).code).toBe(streamed);
  });
});
