import { describe, expect, it } from 'vitest';
import { dropMessageFromTriggerMetadata } from '../../../shared/batch/queue-trigger.ts';

function invoke(triggerMetadata: Record<string, unknown> | undefined) {
  const seen: unknown[] = [];
  const model = { getInvocationModel: (context: unknown) => seen.push(context) };
  dropMessageFromTriggerMetadata({ getProgrammingModel: () => model });
  model.getInvocationModel({ request: { triggerMetadata } });
  return seen;
}

describe('dropMessageFromTriggerMetadata', () => {
  it('leaves the fields of the platform and removes those of the message', () => {
    const seen = invoke({ QueueTrigger: {}, Id: 'x', InsertionTime: 'now', jobId: 'a', items: [] });

    expect(seen).toEqual([{ request: { triggerMetadata: { Id: 'x', InsertionTime: 'now' } } }]);
  });

  it.each([{ Headers: {}, Query: {} }, undefined])(
    'does not change an invocation that is not by a queue: %j',
    (triggerMetadata) => {
      const seen = invoke(triggerMetadata);

      expect(seen).toEqual([{ request: { triggerMetadata } }]);
    },
  );

  it('does nothing outside of the platform', () => {
    expect(() => dropMessageFromTriggerMetadata(undefined)).not.toThrow();
  });
});
