import { describe, expect, it } from 'vitest';
import { createItemJournal } from '../../../../shared/batch/processing/item-journal.ts';
import type { JournalEntry } from '../../../../shared/batch/storage/journal.ts';
import { ServiceError } from '../../../../shared/errors.ts';
import { createToolAgent, toolNamed } from '../../../support/agent/scripted-tools.ts';
import { jobOf } from '../../../support/batch/jobs.ts';
import { makeProcessor } from '../../../support/batch/make-processor.ts';
import { createMemoryStore } from '../../../support/batch/memory-store.ts';
import { answerOf, callsOf } from '../../../support/scripted-model.ts';

const PAY = callsOf(['pay']);
const begun: JournalEntry = { type: 'step', index: 0, step: 0, response: PAY, once: [0] };

async function unavailable(): Promise<never> {
  throw new ServiceError('upstream_interrupted', 'The model stopped');
}

/** An agent with these responses of its model, and a tool that counts its calls. */
function createPayer(responses: Parameters<typeof createToolAgent>[0]['responses']) {
  const paid: string[] = [];
  const pay = toolNamed('pay', { effect: 'once', run: (word) => String(paid.push(word)) });
  return { ...createToolAgent({ responses, tools: [pay] }), paid };
}

describe('a batch item with tools', () => {
  it('goes on after its finished step when it is tried again', async () => {
    const { agent, model, paid } = createPayer([PAY, unavailable, answerOf('Done')]);
    const { processor, store, time } = makeProcessor({ runner: agent });
    const job = jobOf('job', ['hi']);

    await processor.process(job);
    time.now += 60_000;
    await processor.process(job);

    const line = (await store.read('job'))?.results.get(0);
    expect(line?.error).toBeNull();
    expect(line?.tool_effects).toEqual([{ tool: 'pay', status: 'ok' }]);
    expect(paid).toHaveLength(1);
    expect(model.calls).toHaveLength(3);
  });

  it('reports a call that was begun and not finished, also where the item fails', async () => {
    const refused = async (): Promise<never> => {
      throw new ServiceError('content_filtered', 'The content filter refused this content');
    };
    const { agent, paid } = createPayer([answerOf('Done'), refused]);
    const { processor, store } = makeProcessor({ runner: agent, concurrency: 1 });
    const { digest } = await digestOf('job');
    store.write('job', [
      { type: 'job', digest, total: 2, createdAt: '2030-01-01' },
      begun,
      { ...begun, index: 1 },
    ]);

    await processor.process(jobOf('job', ['hi', 'ho']));

    const results = (await store.read('job'))?.results;
    const effects = [{ tool: 'pay', status: 'interrupted' }];
    expect(results?.get(0)).toMatchObject({ error: null, tool_effects: effects });
    expect(results?.get(1)).toMatchObject({
      error: {
        code: 'content_filtered',
        message: expect.stringContaining('"pay" was interrupted and may have taken effect'),
      },
      tool_effects: effects,
    });
    expect(paid).toEqual([]);
  });

  it('lets a call that has begun end when the instance stops, and records it', async () => {
    const paying = Promise.withResolvers<void>();
    const pay = toolNamed('pay', {
      effect: 'once',
      async run() {
        paying.resolve();
        await new Promise((resolve) => setImmediate(resolve));
        return 'paid';
      },
    });
    const { agent } = createToolAgent({ responses: [PAY], tools: [pay] });
    const { processor, store } = makeProcessor({ runner: agent });

    const processing = processor.process(jobOf('job', ['hi']));
    await paying.promise;
    await Promise.all([processor.stop(), processing]);

    expect(store.entries('job')).toContainEqual(
      expect.objectContaining({ type: 'tool', status: 'ok', output: 'paid' }),
    );
    expect((await store.read('job'))?.results.size).toBe(0);
  });

  it('cannot fill the journal of its shard', async () => {
    const store = createMemoryStore();
    const lease = await store.acquireShard({
      id: 'job',
      shard: 0,
      total: 2,
      digest: 'd',
      generation: 0,
    });
    if (lease === 'busy') throw new Error('The shard is busy');
    const maxStepChars = 10;
    const [first, second] = [0, 1].map((index) =>
      createItemJournal({ lease, index, maxStepChars }),
    );
    await first?.addStep(0, { response: PAY, once: [], isLast: false });

    const started = second?.addStep(0, { response: PAY, once: [], isLast: false });
    const continued = first?.addStep(1, { response: PAY, once: [], isLast: false });

    await expect(started).rejects.toMatchObject({ code: 'context_too_long' });
    await expect(continued).resolves.toBeUndefined();
  });
});

/** The digest that the job of two items has in its journal. */
async function digestOf(jobId: string) {
  const { processor, store } = makeProcessor();
  await processor.process(jobOf(jobId, ['hi', 'ho']));
  const [head] = store.entries(jobId);
  if (head?.type !== 'job') throw new Error('The journal has no first line');
  return head;
}
