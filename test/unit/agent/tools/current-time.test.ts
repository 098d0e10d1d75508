import { describe, expect, it } from 'vitest';
import { createCurrentTime } from '../../../../shared/agent/tools/current-time.ts';
import { noopTelemetry } from '../../../../shared/telemetry/create-telemetry.ts';

const CONTEXT = {
  signal: new AbortController().signal,
  traceparent: undefined,
  telemetry: noopTelemetry,
};
const tool = createCurrentTime({ now: () => Date.UTC(2026, 6, 1, 22, 30, 5) });

describe('the current time', () => {
  it.each([
    [{}, { time: '2026-07-01T22:30:05+00:00', weekday: 'Wednesday', time_zone: 'UTC' }],
    [
      { time_zone: 'europe/berlin' },
      { time: '2026-07-02T00:30:05+02:00', weekday: 'Thursday', time_zone: 'Europe/Berlin' },
    ],
    [
      { time_zone: 'America/St_Johns' },
      { time: '2026-07-01T20:00:05-02:30', weekday: 'Wednesday', time_zone: 'America/St_Johns' },
    ],
  ])('is the local one of the zone in %j', async (input, expected) => {
    const output = await tool.call(input, CONTEXT);

    expect(JSON.parse(output)).toEqual(expected);
  });

  it('names the field of a zone that does not exist', async () => {
    const calling = tool.call({ time_zone: 'Moon/Base' }, CONTEXT);

    await expect(calling).rejects.toThrow('"time_zone" must be an IANA name');
  });
});
