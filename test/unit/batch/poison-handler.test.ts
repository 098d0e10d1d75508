import { InvocationContext, output } from '@azure/functions';
import { describe, expect, it } from 'vitest';
import { poisonQueueHandler, type Batch } from '../../../shared/batch/queue-trigger.ts';
import { ServiceError } from '../../../shared/errors.ts';
import { createRecordedTelemetry } from '../../support/recorded-telemetry.ts';

const jobs = output.storageQueue({ queueName: 'jobs', connection: 'Storage' });
const job = { v: 1, jobId: 'job', items: [{ custom_id: 'a', body: { message: 'größe \u0085' } }] };

function handlerOf(handlePoison: Batch['handlePoison']) {
  const batch = async (): Promise<Batch> => ({ handlePoison }) as Batch;
  return poisonQueueHandler(async () => ({ telemetry: createRecordedTelemetry(), batch }), jobs);
}

function contextOf() {
  const logged: string[] = [];
  const logHandler = (_level: unknown, ...args: unknown[]): void =>
    void logged.push(args.join(' '));
  return { logged, context: new InvocationContext({ logHandler }) };
}

describe('poisonHandler', () => {
  it('removes a message that it handled', async () => {
    const explained: unknown[] = [];
    const { context, logged } = contextOf();
    const handler = handlerOf(async (message) => void explained.push(message));

    await handler(job, context);

    expect(context.extraOutputs.get(jobs)).toBeUndefined();
    expect(explained).toEqual([job]);
    expect(logged).toEqual([]);
  });

  it.each([
    ['storage is unavailable', new ServiceError('storage_unavailable', 'Unavailable')],
    ['another delivery holds the job', new ServiceError('overloaded', 'Held')],
  ])('Q12: requeues a message for the job queue where %s', async (_why, error) => {
    const { context, logged } = contextOf();
    const handler = handlerOf(() => Promise.reject(error));

    await handler(job, context);

    const handedBack = context.extraOutputs.get(jobs);
    expect(JSON.parse(String(handedBack))).toEqual(job);
    expect(String(handedBack)).not.toMatch(/\u0085/);
    expect(logged).toEqual(['batch poison message requeued']);
  });

  it('rejects a message after a defect of ours, so that the platform keeps it', async () => {
    const { context, logged } = contextOf();
    const handler = handlerOf(() => Promise.reject(new TypeError('A defect')));

    await expect(handler(job, context)).rejects.toThrow('A defect');
    expect(logged).toEqual([]);
  });

  it('Q12: requeues a message where the service cannot start', async () => {
    const { context } = contextOf();
    const broken = new ServiceError('config_unavailable', 'A setting is wrong');

    const handler = poisonQueueHandler(() => Promise.reject(broken), jobs);
    await handler('no json at all', context);

    expect(context.extraOutputs.get(jobs)).toBe('no json at all');
  });
});
