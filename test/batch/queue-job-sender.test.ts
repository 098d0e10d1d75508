import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parseJob, toMessageText } from '../../shared/batch/model/job-message.ts';
import { createAzureJobSender } from '../../shared/batch/azure-job-queue.ts';
import { jobOf } from '../support/batch/jobs.ts';
import {
  startStorageEnvironment,
  type StorageEnvironment,
} from '../support/batch/storage-environment.ts';

let environment: StorageEnvironment;

beforeAll(async () => {
  environment = await startStorageEnvironment();
});

beforeEach(() => environment.jobs.clearMessages());

afterAll(() => environment.stop());

const job = jobOf('job', [
  'emoji 😀 and 👩‍👩‍👧',
  'not for XML: \u0000 \u0001 \u001f \ufffe \uffff',
  'C1: \u007f \u0080 \u0085 \u009f',
  'lone surrogates: \ud800 and \udc00',
  'separators: \u2028 \u2029 \r\n \r \n \t and the end \u00a0 ',
  'markup: <a b="c">&amp;&#65;]]></a><![CDATA[ ',
  'escapes: \\ \\\\ \\u0041 \\n " \'',
  'order: \u202e \u2066 \ufeff',
  '  ',
]);

describe('the job queue', () => {
  it('Q2: delivers the same job, whatever characters are in it', async () => {
    await createAzureJobSender(environment.connection).send(job, { delaySeconds: 0 });

    const { receivedMessageItems } = await environment.jobs.receiveMessages();
    const text = receivedMessageItems[0]?.messageText ?? '';
    expect(parseJob(text)).toEqual({ ok: true, job });
    expect(text).toBe(toMessageText(job));
  });

  it('accepts base64 of the job from other producers', async () => {
    await environment.jobs.sendMessage(Buffer.from(JSON.stringify(job)).toString('base64'));

    const { receivedMessageItems } = await environment.jobs.receiveMessages();
    expect(parseJob(receivedMessageItems[0]?.messageText)).toEqual({ ok: true, job });
  });

  it('Q8: delivers a delayed job later', async () => {
    await createAzureJobSender(environment.connection).send(job, { delaySeconds: 60 });

    const { receivedMessageItems } = await environment.jobs.receiveMessages();
    const { approximateMessagesCount } = await environment.jobs.getProperties();
    expect([receivedMessageItems.length, approximateMessagesCount]).toEqual([0, 1]);
  });

  it('Q2: refuses a job that is too large for a message and names the alternative', async () => {
    const sender = createAzureJobSender(environment.connection);
    const job = jobOf('large', ['x'.repeat(70_000)]);

    const sending = sender.send(job, { delaySeconds: 0 });

    await expect(sending).rejects.toMatchObject({ code: 'payload_too_large' });
    await expect(sending).rejects.toThrow(/put its items into a blob$/);
  });
});
