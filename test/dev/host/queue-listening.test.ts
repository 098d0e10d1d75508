import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hostJson } from './support/fixture-host.ts';
import { collect, openQueueWorlds } from './support/queue-environments.ts';
import type { QueueWorlds } from './support/queue-environments.ts';

let environments: QueueWorlds;
beforeAll(async () => {
  environments = await openQueueWorlds();
});
afterAll(() => environments.stop());

describe('an output to a queue', () => {
  it('creates the queue and writes objects with indents, lists as several messages', async () => {
    const environment = await environments.start();
    await environment.jobs.sendMessage('{"copy":{"a":1}}');
    await environment.jobs.sendMessage('{"copy":["x",{"b":2}]}');
    await environment.jobs.sendMessage('{"copy":"text"}');

    const texts = await collect(environment.copies, 4);

    expect(texts.toSorted()).toEqual(['text', 'x', '{\n  "a": 1\n}', '{\n  "b": 2\n}'].toSorted());
  });

  it('is written before a request is answered', async () => {
    const environment = await environments.start();

    const response = await environment.host.get('/enqueue', {
      method: 'POST',
      body: 'from a request',
    });

    expect(response.status).toBe(202);
    expect((await environment.copies.getProperties()).approximateMessagesCount).toBe(1);
    expect(await collect(environment.copies, 1)).toEqual(['from a request']);
  });

  it('may be what a function returns', async () => {
    const environment = await environments.start();
    await environment.returning.create();
    await environment.returning.sendMessage('in');

    expect(await collect(environment.copies, 2)).toEqual(['in', 'plain']);
  });
});

describe('a queue listener', () => {
  it('waits for a queue that is missing and does not create it', async () => {
    const environment = await environments.start();

    const line = await environment.host.logged(`queue '${environment.returning.name}'`);

    expect(line.message).toContain('QueueNotFound');
    expect(await environment.returning.exists()).toBe(false);
    await environment.returning.create();
    await environment.returning.sendMessage('late');
    expect(await collect(environment.copies, 2)).toEqual(['late', 'plain']);
  });

  it('takes nothing while the host drains', async () => {
    const environment = await environments.start();
    await environment.host.get('/ping');
    await environment.host.get('/admin/host/drain', { method: 'POST' });
    await environment.jobs.sendMessage('{"during":"drain"}');
    await environment.host.get('/ping');

    expect(environment.told('job')).toEqual([]);
    await environment.host.get('/admin/host/resume', { method: 'POST' });
    await environment.untilTold('job');
  });

  it('can be bypassed: the admin area calls a function directly', async () => {
    const environment = await environments.start();

    const response = await environment.host.get('/admin/functions/jobs', {
      method: 'POST',
      body: '{"input":"by hand"}',
    });

    expect(response.status).toBe(202);
    expect((await environment.untilTold('job'))[0]?.message).toBe('by hand');
  });

  it('waits for the running message when the host stops, with a time limit', async () => {
    const patient = await environments.start({}, { timings: { jobHostDrainMs: 10_000 } });
    await patient.jobs.sendMessage('{"takesMs":500}');
    await patient.untilTold('job');
    await patient.host.stop();
    const hasty = await environments.start(
      hostJson({ 'extensions.queues.visibilityTimeout': '00:00:00' }),
      {
        timings: { jobHostDrainMs: 100 },
      },
    );
    await hasty.jobs.sendMessage('{"takesMs":60000}');
    await hasty.untilTold('job');
    await hasty.host.stop();

    expect((await patient.jobs.getProperties()).approximateMessagesCount).toBe(0);
    expect((await hasty.jobs.getProperties()).approximateMessagesCount).toBe(1);
    // Abandoned, not released: it is invisible until its ten minutes are over.
    expect((await hasty.jobs.peekMessages()).peekedMessageItems).toEqual([]);
  });
});
