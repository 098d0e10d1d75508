import { describe, expect, it } from 'vitest';
import type { Agent } from '../../../shared/agent/agent.ts';
import { ServiceError } from '../../../shared/errors.ts';
import type { ModelRequest } from '../../../shared/model/model.ts';
import { createTextEncryption } from '../../../shared/storage/text-encryption.ts';
import { createToolAgent, toolNamed, toolResults } from '../../support/agent/scripted-tools.ts';
import {
  makeRuns,
  readAll,
  readRun,
  recordOf,
  type RunsUnderTest,
} from '../../support/runs/make-runs.ts';
import { answerOf, callsOf } from '../../support/scripted-model.ts';

const STEPS = [
  callsOf(['echo', { word: 'a' }]),
  callsOf(['echo', { word: 'b' }]),
  answerOf('Done'),
];

function toolAgent() {
  return createToolAgent({ responses: STEPS, tools: [toolNamed('echo')] });
}

/** The events of `STEPS`, however often the run is interrupted. */
const STEP = ['step-end', 'tool-call', 'tool-result'];
const EVENTS = [...STEP, ...STEP, 'text-delta', 'step-end'];

interface FailedWrite {
  /** The number of the write, counted from 1. */
  readonly at: number;
  readonly error: Error;
}

/** One write of a journal fails. Returns the function that ends this. */
function failWrites({ container }: RunsUnderTest, { at, error }: FailedWrite): () => void {
  const acquire = container.acquireLease.bind(container);
  let writes = 0;
  container.acquireLease = async (name) => {
    const lease = await acquire(name);
    if (lease === 'busy') return lease;
    return {
      ...lease,
      async append(lines, position) {
        writes += 1;
        if (writes === at) throw error;
        return lease.append(lines, position);
      },
    };
  };
  return () => {
    container.acquireLease = acquire;
  };
}

/** An agent that streams the texts of one attempt after the other. */
function textAgent(...attempts: readonly (readonly (string | Error)[])[]): Agent {
  const left = [...attempts];
  return {
    run: () => Promise.reject(new Error('not streamed')),
    async *stream(_input, { signal, journal }) {
      let text = '';
      for (const part of left.shift() ?? []) {
        if (part instanceof Error) throw part;
        text += part;
        yield { type: 'text-delta', text: part };
        await new Promise((resolve) => setTimeout(resolve, 15));
        signal.throwIfAborted();
      }
      const usage = { inputTokens: 1, outputTokens: 1, totalTokens: 2 };
      yield { type: 'step-end', usage };
      await journal?.addStep(0, { response: answerOf(text), once: [], isLast: true });
      const result = { text, model: 'm', finishReason: 'stop', cached: false, usage } as const;
      yield { type: 'done', result: { ...result, toolCalls: [] } };
    },
  };
}

describe('a background run', () => {
  it('is queued, runs at its delivery, and is found with its end by its owner alone', async () => {
    const test = makeRuns({ agent: toolAgent().agent });
    const record = recordOf('Hi');
    await test.runs.service.start(record);
    const queued = await readRun(test, record);

    await test.deliverAll();

    const foreign = await test.runs.service.find({ owner: 'another', id: record.id });
    expect(queued?.status).toBe('queued');
    expect(await readRun(test, record)).toMatchObject({
      status: 'ended',
      text: 'Done',
      end: { kind: 'done', result: { usage: { totalTokens: 15 } } },
    });
    expect(foreign).toBeUndefined();
  });

  it('goes on in another delivery after each step that its slice permits', async () => {
    const { agent, model } = toolAgent();
    const test = makeRuns({ agent, sliceMs: 0 });
    const record = recordOf('Hi');
    await test.runs.service.start(record);

    const delays = [await test.deliver(), await test.deliver(), await test.deliver()];

    expect(delays).toEqual([0, 0, 0]);
    expect(test.sent).toEqual([]);
    expect(model.calls).toHaveLength(3);
    expect(await readRun(test, record)).toMatchObject({ text: 'Done', end: { kind: 'done' } });
  });

  it.each([1, 2, 3, 4, 5, 6])('pays no step twice if storage fails at write %i', async (kill) => {
    const step = ({ messages }: ModelRequest) =>
      Promise.resolve(STEPS[toolResults(messages).length] ?? answerOf('Done'));
    const { agent, model } = createToolAgent({
      responses: [step, step, step, step],
      tools: [toolNamed('echo')],
    });
    const test = makeRuns({ agent });
    const record = recordOf('Hi');
    await test.runs.service.start(record);
    const message = test.sent[0]?.message;
    failWrites(test, {
      at: kill,
      error: new ServiceError('storage_unavailable', 'Storage is not available'),
    });

    await test.deliver().catch(() => undefined);
    await test.runs.process(message);

    // At most the response that could not be written is paid again.
    expect(model.calls.length).toBeLessThanOrEqual(4);
    const found = await readRun(test, record);
    expect(found?.end).toBeDefined();
    expect(found?.events.map(({ type }) => type)).toEqual(EVENTS);
  });

  it('repeats no tool with an effect that was interrupted, and says so', async () => {
    const crash = new ServiceError('storage_unavailable', 'crash');
    const paid: string[] = [];
    const pay = toolNamed('pay', { effect: 'once', run: (word) => `${paid.push(word)}` });
    const { agent } = createToolAgent({
      responses: [callsOf(['pay', { word: 'five' }]), answerOf('Done')],
      tools: [pay],
    });
    const test = makeRuns({ agent });
    const record = recordOf('Hi');
    await test.runs.service.start(record);
    const message = test.sent[0]?.message;
    const restore = failWrites(test, { at: 3, error: crash });
    await expect(test.deliver()).rejects.toThrow('crash');
    restore();

    await test.runs.process(message);

    const found = await readRun(test, record);
    expect(paid).toEqual(['five']);
    expect(found?.end).toMatchObject({
      kind: 'done',
      result: { toolCalls: [{ name: 'pay', status: 'interrupted' }] },
    });
    expect(found?.events).toContainEqual(expect.objectContaining({ status: 'interrupted' }));
  });

  it('waits for a model that is throttled, and gives up a step that fails three times', async () => {
    const throttled = new ServiceError('upstream_rate_limited', 'x', { retryAfterSeconds: 7 });
    const broken = new ServiceError('upstream_interrupted', 'The model stopped');
    const waiting = makeRuns({ agent: textAgent([throttled], ['Hello']) });
    const failing = makeRuns({ agent: textAgent([broken], [broken], [broken], ['Hello']) });
    const [first, second] = [recordOf('Hi'), recordOf('Hi')];
    await waiting.runs.service.start(first);
    await failing.runs.service.start(second);

    await waiting.deliver();
    const delays = waiting.sent.map(({ delaySeconds }) => delaySeconds);
    await waiting.deliverAll();
    await failing.deliverAll();

    expect(delays).toEqual([7]);
    expect(await readRun(waiting, first)).toMatchObject({ text: 'Hello', end: { kind: 'done' } });
    expect(await readRun(failing, second)).toMatchObject({
      end: { kind: 'failed', code: 'upstream_interrupted', message: 'The model stopped' },
    });
  });

  it('stays cancelled although its result comes later', async () => {
    const test = makeRuns({ agent: textAgent(['Hel', 'lo', ' there', ' again']) });
    const record = recordOf('Hi', { isStreamed: true });
    await test.runs.service.start(record);
    const delivery = test.deliver();
    await expect.poll(async () => (await readRun(test, record))?.text).toContain('Hel');

    await test.runs.service.cancel(record);
    await delivery;

    expect(await readRun(test, record)).toMatchObject({ end: { kind: 'cancelled' } });
    expect(test.sent).toEqual([]);
  });

  it('leaves nothing behind when it is deleted while it runs', async () => {
    const test = makeRuns({ agent: textAgent(['Hel', 'lo', ' there', ' again']) });
    const record = recordOf('Hi', { isStreamed: true });
    await test.runs.service.start(record);
    const delivery = test.deliver();
    await expect.poll(async () => (await readRun(test, record))?.text).toContain('Hel');

    await test.runs.service.remove(record);
    const gone = await readRun(test, record);
    await delivery;

    expect(gone).toBeUndefined();
    expect([...test.container.blobs.keys()]).toEqual([]);
  });

  it('is queued again three times when its message is poison, and then fails', async () => {
    const test = makeRuns({ agent: textAgent() });
    const record = recordOf('Hi');
    await test.runs.service.start(record);

    const delays: unknown[] = [];
    for (let next = test.sent.shift(); next !== undefined; next = test.sent.shift()) {
      delays.push(next.delaySeconds);
      await test.runs.handlePoison(next.message);
    }

    expect(delays).toEqual([0, 0, 10, 20]);
    expect(await readRun(test, record)).toMatchObject({
      end: { kind: 'failed', code: 'internal' },
    });
  });

  it('leaves its message to the process that works on it', async () => {
    const test = makeRuns({ agent: textAgent(['Hel', 'lo']) });
    const record = recordOf('Hi');
    await test.runs.service.start(record);
    const message = test.sent[0]?.message;

    const working = test.deliver();
    await test.runs.process(message);

    expect(test.sent.map(({ delaySeconds }) => delaySeconds)).toEqual([16]);
    await working;
    await test.deliverAll();
    expect(await readRun(test, record)).toMatchObject({ text: 'Hello', end: { kind: 'done' } });
  });

  it('is stored without a word of its texts in plain', async () => {
    const key = Buffer.alloc(32, 7).toString('base64');
    const encryption = createTextEncryption({ read: () => key });
    const test = makeRuns({ agent: textAgent(['Secret answer']), encryption });
    const record = recordOf('Secret question', { isStreamed: true });
    await test.runs.service.start(record);

    await test.deliverAll();

    const stored = [...test.container.blobs.values()].map(({ content }) => content.toString());
    expect(stored.length).toBe(3);
    expect(stored.join('')).not.toContain('Secret');
    expect(await readRun(test, record)).toMatchObject({ text: 'Secret answer' });
  });
});

describe('a follower of a run', () => {
  it('reads the same events live as later', async () => {
    const test = makeRuns({ agent: textAgent(['Hel', 'lo', ' there']) });
    const record = recordOf('Hi', { isStreamed: true });
    await test.runs.service.start(record);
    const { signal } = new AbortController();
    const live = readAll(test.runs.service.watch(record, signal));

    await test.deliverAll();

    const later = await readAll(test.runs.service.watch(record, signal));
    expect(await live).toEqual(later);
    expect(later.at(-1)).toMatchObject({ kind: 'done' });
  });
});

describe('the repeated step of a streamed run', () => {
  const crash = new ServiceError('storage_unavailable', 'crash');

  it.each([
    ['goes on where the same text stopped', ['Hello', ' there'], 'Hello there'],
    ['starts anew where the text differs', ['Help', ' me'], 'Hello|Help me'],
    ['starts anew where the text is shorter', ['He'], 'Hello|He'],
    ['sends nothing again if nothing is new', ['Hel', 'lo'], 'Hello'],
  ])('%s', async (_name, second, text) => {
    const test = makeRuns({ agent: textAgent(['Hel', 'lo', crash], second) });
    const record = recordOf('Hi', { isStreamed: true });
    await test.runs.service.start(record);
    const message = test.sent[0]?.message;

    await expect(test.deliver()).rejects.toThrow('crash');
    await test.runs.process(message);

    expect(await readRun(test, record)).toMatchObject({ text, end: { kind: 'done' } });
  });
});
