import { describe, expect, it } from 'vitest';
import { ServiceError, toServiceError, type ErrorCode } from '../../../shared/errors.ts';
import { reportFailure } from '../../../shared/http/handler.ts';
import { createRecordedTelemetry } from '../../support/recorded-telemetry.ts';

describe('reportFailure', () => {
  it.each([
    ['invalid_json', 'info'],
    ['rate_limited', 'info'],
    ['upstream_timeout', 'warn'],
    ['internal', 'error'],
  ] as [ErrorCode, string][])('logs %s at level %s', (code, level) => {
    const telemetry = createRecordedTelemetry();

    reportFailure(telemetry, { message: 'request failed', error: new ServiceError(code, 'x') });

    expect(telemetry.lines).toMatchObject([{ level, message: 'request failed', fields: { code } }]);
  });

  it('logs the place of a defect, but not its message', () => {
    const telemetry = createRecordedTelemetry();
    const error = toServiceError(new TypeError('cannot read sk-secret'));

    reportFailure(telemetry, { message: 'request failed', error, fields: { durationMs: 3 } });

    expect(telemetry.lines[0]?.fields).toMatchObject({ cause: 'TypeError', durationMs: 3 });
    expect(telemetry.lines[0]?.fields['place']).toMatch(/report-failure\.test\.ts:\d+/);
    expect(JSON.stringify(telemetry.lines)).not.toContain('secret');
  });
});
