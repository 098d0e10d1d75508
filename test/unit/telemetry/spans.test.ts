import { describe, expect, it } from 'vitest';
import { withToolSpan } from '../../../shared/telemetry/spans.ts';
import { createMeteredTelemetry } from '../../support/metered-telemetry.ts';

const COUNT = 'agent_tool_duration_seconds_count';

describe('traceTool', () => {
  it('returns the result of the tool and measures it', async () => {
    const { telemetry, spans, value } = createMeteredTelemetry();

    const result = await withToolSpan(
      { name: 'clock', parent: undefined, telemetry },
      async (own) => own,
    );

    expect(result).toBe(spans[0]?.traceparent);
    expect(spans[0]).toMatchObject({ name: 'execute_tool clock', code: undefined, ended: 1 });
    expect(value(COUNT, { gen_ai_tool_name: 'clock' })).toBe(1);
  });

  it('marks a tool that throws as failed and throws on', async () => {
    const { telemetry, spans, value } = createMeteredTelemetry();
    const fail = (): Promise<never> => Promise.reject(new Error('broken'));

    await expect(
      withToolSpan({ name: 'clock', parent: undefined, telemetry }, fail),
    ).rejects.toThrow('broken');

    expect(spans[0]).toMatchObject({ code: 'failed', ended: 1 });
    expect(value(COUNT, { error_type: 'failed' })).toBe(1);
  });
});
