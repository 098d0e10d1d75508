import { InvocationContext } from '@azure/functions';
import { describe, expect, it } from 'vitest';
import { queueHandler, type Batch } from '../../../shared/batch/queue-trigger.ts';
import { ServiceError } from '../../../shared/errors.ts';
import { createMeteredTelemetry } from '../../support/metered-telemetry.ts';
import { createRecordedTelemetry } from '../../support/recorded-telemetry.ts';

function batchThat(process: Batch['processor']['process']): () => Promise<Batch> {
  return async () => ({ processor: { process } }) as Batch;
}

async function deliver(insertionTime: unknown) {
  const { telemetry, value } = createMeteredTelemetry();
  const handled: unknown[] = [];
  const batch = batchThat(async (message) => void handled.push(message));
  const handler = queueHandler(async () => ({ telemetry, batch }));
  await handler('hello', new InvocationContext({ triggerMetadata: { insertionTime } }));
  return { handled, value };
}

function refused(): Error {
  return Object.assign(new Error('http://account'), { code: 'ServerBusy', statusCode: 503 });
}

const EXPECTED = {
  away: { code: 'storage_unavailable', cause: 'Error ServerBusy 503' },
  defect: { code: 'internal', cause: 'TypeError' },
};

describe('queueHandler', () => {
  it.each([
    [new ServiceError('storage_unavailable', 'Away', { cause: refused() }), 'warn'],
    [new TypeError('A defect'), 'error'],
  ] as const)(
    'rejects with %s so that the message is delivered again, and logs it once',
    async (...of) => {
      const [thrown, level] = of;
      const telemetry = createRecordedTelemetry();
      const batch = batchThat(() => Promise.reject(thrown));
      const handler = queueHandler(async () => ({ telemetry, batch }));

      await expect(handler('hello', new InvocationContext())).rejects.toBe(thrown);

      const { code, cause } = thrown instanceof ServiceError ? EXPECTED.away : EXPECTED.defect;
      expect(telemetry.lines).toHaveLength(1);
      expect(telemetry.lines[0]).toMatchObject({ level, message: 'batch delivery failed' });
      expect(telemetry.lines[0]?.fields).toMatchObject({ code, cause });
    },
  );

  it('measures the age of a message', async () => {
    const { value, handled } = await deliver(new Date(Date.now() - 90_000).toISOString());

    expect(handled).toEqual(['hello']);
    expect(value('agent_batch_message_age_seconds_sum')).toBeGreaterThanOrEqual(90);
    expect(value('agent_batch_message_age_seconds_count')).toBe(1);
  });

  it.each([undefined, 'soon', 42, '1970-01-01T00:00:00Z', '2999-01-01T00:00:00Z', { a: 1 }])(
    'measures nothing where the message replaces the time of the queue by %j',
    async (insertionTime) => {
      const { value, handled } = await deliver(insertionTime);

      expect(handled).toEqual(['hello']);
      expect(value('agent_batch_message_age_seconds_count')).toBe(0);
    },
  );
});
