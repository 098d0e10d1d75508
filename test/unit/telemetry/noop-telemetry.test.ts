import { describe, expect, it } from 'vitest';
import { noopTelemetry } from '../../../shared/telemetry/create-telemetry.ts';

describe('noopTelemetry', () => {
  it('writes nothing, with fields too', () => {
    const bound = noopTelemetry.with({ a: 1 });

    for (const level of ['debug', 'info', 'warn', 'error'] as const) bound[level]('x');

    expect(bound).toBe(noopTelemetry);
  });
});
