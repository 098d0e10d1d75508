import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { runItem, type ItemOptions } from '../../../../shared/batch/processing/run-item.ts';
import { customIdOf } from '../../../../shared/batch/model/item.ts';
import { ServiceError } from '../../../../shared/errors.ts';
import { createAuditTrail } from '../../../../shared/telemetry/audit.ts';
import { noopTelemetry } from '../../../../shared/telemetry/create-telemetry.ts';
import { itemOf, reserveNothing } from '../../../support/batch/jobs.ts';
import { createScriptedAgent, type Script } from '../../../support/batch/scripted-agent.ts';

const never = (): Promise<never> => new Promise(() => undefined);

function options(script: Script, rest: Partial<ItemOptions> = {}): ItemOptions {
  return {
    place: { jobId: 'job', index: 0, customId: 'id' },
    agent: createScriptedAgent(script),
    publicModel: 'assistant',
    itemDeadlineMs: 60_000,
    reserve: reserveNothing,
    stop: new AbortController().signal,
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    agentClock: { now: () => 0 },
    telemetry: noopTelemetry,
    audit: createAuditTrail(),
    ...rest,
  };
}

describe('runItem', () => {
  it('ends at once when the job was stopped, whatever the agent does', async () => {
    const outcome = await runItem(itemOf('hi'), options(never, { stop: AbortSignal.abort() }));

    expect(outcome).toEqual({ kind: 'stopped' });
  });

  it('gives the agent a signal that aborts with the item, and names the reason', async () => {
    let reason: unknown;
    const script: Script = ({ signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          reason = signal.reason;
          reject(signal.reason);
        });
      });

    const outcome = await runItem(itemOf('hi'), options(script, { itemDeadlineMs: 10 }));

    expect(reason).toBeInstanceOf(ServiceError);
    expect(outcome).toMatchObject({ kind: 'retry', code: 'upstream_timeout' });
  });

  it('passes the deadline to the agent, by the clock of the service', async () => {
    const seen: number[] = [];
    const agent = createScriptedAgent();
    const watching = {
      ...agent,
      run: (...[input, context]: Parameters<typeof agent.run>) => {
        seen.push(context.deadlineAt);
        return agent.run(input, context);
      },
    };

    await runItem(
      itemOf('hi'),
      options(never, { agent: watching, itemDeadlineMs: 500, agentClock: { now: () => 1_000 } }),
    );

    expect(seen).toEqual([1_500]);
  });

  it('Q8: marks its call as background', async () => {
    const seen: unknown[] = [];
    const agent = createScriptedAgent();
    const watching = {
      ...agent,
      run: (...[input, context]: Parameters<typeof agent.run>) => {
        seen.push(context.isBackground);
        return agent.run(input, context);
      },
    };

    await runItem(
      itemOf('hi'),
      options(() => 'ok', { agent: watching }),
    );

    expect(seen).toEqual([true]);
  });

  it('leaves no timer', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());

    await runItem(
      itemOf('hi'),
      options(() => 'ok'),
    );

    expect(vi.getTimerCount()).toBe(0);
  });

  it('passes on the retry delay of the upstream', async () => {
    const script: Script = () => {
      throw new ServiceError('overloaded', 'Busy', { retryAfterSeconds: 7 });
    };

    const outcome = await runItem(itemOf('hi'), options(script));

    expect(outcome).toMatchObject({ kind: 'retry', code: 'overloaded', retryAfterSeconds: 7 });
  });

  it.each([
    { body: { message: 'hi' }, status: 413, code: 'context_too_long' },
    {
      body: { messages: [{ role: 'user', content: 'hi' }] },
      status: 400,
      code: 'context_length_exceeded',
    },
  ])('F23: gives a failed line the answer of the item: $code', async ({ body, status, code }) => {
    const script: Script = () => {
      throw new ServiceError('context_too_long', 'Too long', { param: 'messages' });
    };

    const outcome = await runItem({ custom_id: 'a', body }, options(script));

    if (outcome.kind !== 'result') throw new Error(`The outcome is ${outcome.kind}`);
    expect(outcome.line).toMatchObject({
      error: { code, message: 'Too long' },
      response: {
        status_code: status,
        body: { error: { code, message: 'Too long', type: 'invalid_request_error' } },
      },
    });
  });

  it('F23: gives the line of an item that got no answer its numeric custom_id as text', async () => {
    const outcome = await runItem(
      { custom_id: 7, body: { message: 'hi' } },
      {
        ...options(() => 'ok'),
        place: { jobId: 'job', index: 0, customId: customIdOf({ custom_id: 7 }) },
      },
    );

    expect(outcome).toMatchObject({
      line: { custom_id: '7', response: null, error: { code: 'invalid_item' } },
    });
  });

  it('puts the id of the request into the line and into the answer', async () => {
    const outcome = await runItem(
      itemOf('hi'),
      options(() => 'ok'),
    );

    if (outcome.kind !== 'result') throw new Error(`The outcome is ${outcome.kind}`);
    const { response } = outcome.line;
    expect(response?.body).toMatchObject({ response: 'ok', requestId: response?.request_id });
  });
});
