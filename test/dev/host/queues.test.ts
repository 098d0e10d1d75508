import type { QueueClient } from '@azure/storage-queue';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { hostJson } from './support/fixture-host.ts';
import { collect, openQueueWorlds, untilGone } from './support/queue-environments.ts';
import type { QueueWorlds } from './support/queue-environments.ts';
import { waitUntil } from './support/wait-until.ts';

async function countOf(queue: QueueClient): Promise<number | undefined> {
  return (await queue.getProperties()).approximateMessagesCount;
}

let environments: QueueWorlds;
beforeAll(async () => {
  environments = await openQueueWorlds();
});
afterAll(() => environments.stop());

describe('a message of a queue', () => {
  it('is passed to its function with the metadata of the platform, then deleted', async () => {
    const environment = await environments.start();
    const sentAt = Date.now();
    await environment.jobs.sendMessage('{"jobId":"j1","id":"mine","DEQUEUECOUNT":42,"list":[1]}');

    const [tell] = await environment.untilTold('job');

    expect(tell?.message).toEqual({ jobId: 'j1', id: 'mine', DEQUEUECOUNT: 42, list: [1] });
    expect(tell?.triggerMetadata).toMatchObject({
      jobId: 'j1',
      // Properties of the message win over what the platform knows, in any letter case.
      id: 'mine',
      dequeueCount: 42,
      queueTrigger: expect.objectContaining({ jobId: 'j1' }),
    });
    expect(tell?.triggerMetadata).not.toHaveProperty('list');
    const { nextVisibleTime, insertionTime } = z
      .object({ nextVisibleTime: z.string(), insertionTime: z.string() })
      .parse(tell?.triggerMetadata);
    expect(insertionTime).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$/);
    expect(Math.round((Date.parse(nextVisibleTime) - sentAt) / 60_000)).toBe(10);
    await untilGone(environment.jobs);
  });

  it('arrives as text when it is not JSON, and as null when it is null', async () => {
    const environment = await environments.start();
    await environment.jobs.sendMessage('plain words');
    await environment.jobs.sendMessage('null');

    const tells = await environment.untilTold('job', 2);

    expect(new Set(tells.map(({ message }) => message))).toEqual(new Set(['plain words', null]));
    expect(tells[0]?.triggerMetadata['dequeueCount']).toBe(1);
  });

  it('F17: arrives with every character as it was sent', async () => {
    const environment = await environments.start();
    const texts = ['a\rb\r\nc', 'a&#xD;b', '<x> & "y"', '&lt;&amp;#10;', '\t 👋 é \n', ''];
    for (const text of texts) await environment.jobs.sendMessage(text);

    const tells = await environment.untilTold('job', texts.length);

    expect(new Set(tells.map(({ message }) => message))).toEqual(new Set(texts));
  });

  it('that fails is delivered again after its delay, and finally goes to the poison queue', async () => {
    const environment = await environments.start();
    await environment.jobs.sendMessage('{"fails":true}');

    const [poisoned] = await environment.untilTold('poison');

    expect(poisoned?.message).toEqual({ fails: true });
    expect(
      environment.told('job').map(({ triggerMetadata }) => triggerMetadata['dequeueCount']),
    ).toEqual([1, 2]);
    await untilGone(environment.jobs);
    await untilGone(environment.poison);
  });

  it('of a poison queue that fails is not released and has no poison queue of its own', async () => {
    const environment = await environments.start();
    await environment.poison.create();
    await environment.poison.sendMessage('{"poisonFails":true}');

    await environment.untilTold('poison');
    await environment.host.logged('not even this');

    await environment.jobs.sendMessage('{"fails":true}');
    await environment.untilTold('poison', 2);
    const failed = environment.told('poison').filter(({ message }) => {
      return z.object({ poisonFails: z.boolean() }).safeParse(message).success;
    });
    expect(failed).toHaveLength(1);
    // The message that did not fail is deleted after its function ended; the failed one stays.
    await waitUntil(async () => (await countOf(environment.poison)) === 1, 'one message');
    expect(
      await environments.service.getQueueClient(`${environment.poison.name}-poison`).exists(),
    ).toBe(false);
  });

  it('delivered too often before goes to the poison queue without a call', async () => {
    await spend('spent', environments);

    const environment = await environments.start({ JOBS: 'spent' });

    await environment.untilTold('poison');
    expect(environment.told('job')).toEqual([]);
  });

  it('delivered too often from a poison queue is left there without a call', async () => {
    await spend('tired-poison', environments);

    const environment = await environments.start({ JOBS: 'tired' });
    await environment.poison.sendMessage('fresh');

    await environment.untilTold('poison');
    await waitUntil(async () => {
      const { approximateMessagesCount } = await environment.poison.getProperties();
      return approximateMessagesCount === 1;
    }, 'the fresh one to be gone and the other one to stay');
    expect(environment.told('poison').map(({ message }) => message)).toEqual(['fresh']);
  });

  it('that runs when the worker crashes is delivered again with the count 2', async () => {
    const environment = await environments.start();
    await environment.jobs.sendMessage('{"crashes":true}');

    const tells = await environment.untilTold('job', 2);

    expect(tells.map(({ triggerMetadata }) => triggerMetadata['dequeueCount'])).toEqual([1, 2]);
    await untilGone(environment.jobs);
  });

  it('whose function exceeds its time limit is delivered again, on another worker', async () => {
    const environment = await environments.start(hostJson({ functionTimeout: '00:00:00.300' }), {
      timings: { timeoutGraceMs: 50, timeoutAnswerMs: 50 },
    });
    const worker = environment.host.workerPid();
    await environment.jobs.sendMessage('{"takesMs":60000}');

    const tells = await environment.untilTold('job', 2);

    expect(tells.map(({ triggerMetadata }) => triggerMetadata['dequeueCount'])).toEqual([1, 2]);
    expect(environment.host.workerPid()).not.toBe(worker);
  });

  it('stays invisible for as long as its function runs', async () => {
    const environment = await environments.start({}, { timings: { messageInvisibleMs: 1_000 } });
    await environment.jobs.sendMessage('{"takesMs":2500}');

    await environment.untilTold('job');
    await untilGone(environment.jobs);

    expect(environment.told('job')).toHaveLength(1);
  });

  it('is one of no more than a batch and the threshold at a time', async () => {
    const environment = await environments.start();
    for (let index = 0; index < 8; index += 1) {
      await environment.jobs.sendMessage(JSON.stringify({ takesMs: 100 + (index % 2) * 300 }));
    }

    const tells = await environment.untilTold('job', 8);

    expect(Math.max(...tells.map(({ inWork }) => inWork ?? 0))).toBe(3);
  });

  it('in base64 is decoded when host.json requires it; any other becomes poison without a call', async () => {
    const environment = await environments.start({
      ...hostJson({ 'extensions.queues.messageEncoding': 'base64' }),
      'AzureWebJobs.poisoned.Disabled': 'true',
    });
    await environment.jobs.sendMessage(Buffer.from('{"jobId":"encoded"}').toString('base64'));
    await environment.untilTold('job');
    await environment.jobs.sendMessage('{"jobId":"raw"}');

    const line = await environment.host.logged('is not base64');
    const texts = await collect(environment.poison, 1);

    expect(line.level).toBe('error');
    expect(texts).toEqual(['{"jobId":"raw"}']);
    expect(environment.told('job').map(({ message }) => message)).toEqual([{ jobId: 'encoded' }]);
  });
});

/** A queue with one message that was delivered as often as host.json allows, and is visible again. */
async function spend(name: string, { service }: QueueWorlds): Promise<void> {
  const queue = service.getQueueClient(name);
  await queue.create();
  await queue.sendMessage('spent');
  for (let count = 0; count < 2; count += 1) {
    await queue.receiveMessages({ visibilityTimeout: 1 });
    await waitUntil(
      async () => (await queue.peekMessages()).peekedMessageItems.length === 1,
      'the message to be visible again',
    );
  }
}
