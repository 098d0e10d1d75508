import { describe, expect, it } from 'vitest';
import type { ReadinessReport, Status } from '../../../shared/health/readiness.ts';
import { ServiceError } from '../../../shared/errors.ts';
import {
  handleReady,
  type ReadyDependencies,
  withoutTelemetry,
} from '../../../shared/http/operations-handler.ts';
import { publicHandler } from '../../../shared/http/handler.ts';
import { call, get } from '../../support/http-call.ts';
import { createMeteredTelemetry } from '../../support/metered-telemetry.ts';
import { createRecordedTelemetry } from '../../support/recorded-telemetry.ts';
import { bodyLimits } from '../../support/public-handler.ts';

function needsOf(status: Status): ReadyDependencies {
  const report: ReadinessReport = { status, chat: { status }, batch: { status: 'ready' } };
  return {
    telemetry: createRecordedTelemetry(),
    requestBody: bodyLimits(0),
    readiness: { report: async () => report },
  };
}

describe('GET /ready', () => {
  it('T11 writes no line, no span and no metric for a probe, ready or not', async () => {
    const { telemetry, spans, value, lines } = createMeteredTelemetry();
    const probe = (status: Status) => {
      const getService = async () => ({ ...needsOf(status), telemetry });
      return call(
        publicHandler(withoutTelemetry(getService), handleReady),
        get('http://127.0.0.1/ready'),
      );
    };

    const statuses = [(await probe('ready')).status, (await probe('unready')).status];

    expect(statuses).toEqual([200, 503]);
    expect([spans, lines, value('http_server_request_duration_seconds_count')]).toEqual([
      [],
      [],
      0,
    ]);
  });

  it.each([
    ['ready', 200],
    ['degraded', 200],
    ['unready', 503],
  ] as [Status, number][])('answers %s with %d', async (status, code) => {
    const handler = publicHandler(async () => needsOf(status), handleReady);

    const answered = await call(handler, get('http://127.0.0.1/ready'));

    expect(answered.status).toBe(code);
    expect(answered.json()).toMatchObject({ status, batch: { status: 'ready' } });
  });

  it('answers in the same way when settings went missing later', async () => {
    const chat = { status: 'unready', code: 'config_unavailable', reason: 'NAME is gone' } as const;
    const needs: ReadyDependencies = {
      ...needsOf('unready'),
      readiness: {
        report: async () => ({ status: 'unready', chat, batch: { status: 'ready' } }),
      },
    };

    const answered = await call(
      publicHandler(async () => needs, handleReady),
      get('http://127.0.0.1/ready'),
    );

    expect(answered.status).toBe(503);
    expect(answered.problem()).toMatchObject({
      detail: 'NAME is gone',
      error: { code: 'config_unavailable' },
    });
  });

  it('answers 503 with Retry-After while there is no configuration', async () => {
    const handler = publicHandler<ReadyDependencies>(
      () => Promise.reject(new ServiceError('config_unavailable', 'OPENAI_API_KEY must be a key')),
      handleReady,
    );

    const answered = await call(handler, get('http://127.0.0.1/ready'));

    expect(answered.status).toBe(503);
    expect(answered.problem().error.code).toBe('config_unavailable');
    expect(answered.headers['retry-after']).toBe('5');
  });
});
