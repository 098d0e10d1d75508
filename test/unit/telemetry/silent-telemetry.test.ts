import { describe, expect, it } from 'vitest';
import { silentTelemetry } from '../../../shared/telemetry/create-telemetry.ts';

describe('silentTelemetry', () => {
  it('says nothing and stays silent with fields', () => {
    const bound = silentTelemetry.with({ a: 1 });

    for (const level of ['debug', 'info', 'warn', 'error'] as const) bound[level]('x');

    expect(bound).toBe(silentTelemetry);
  });
});
