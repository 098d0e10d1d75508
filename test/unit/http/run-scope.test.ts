import { describe, expect, it } from 'vitest';
import { ClientDisconnectedError } from '../../../shared/http/client-connection.ts';
import { startRun } from '../../../shared/http/run-scope.ts';
import { get } from '../../support/http-call.ts';
import { countTimers } from '../../support/chat-handler.ts';
import { createRecordedTelemetry } from '../../support/recorded-telemetry.ts';
import { never } from '../../support/scripted-model.ts';

function turnOf(deadlineMs: number, clientLeft = new AbortController().signal) {
  return startRun(
    {
      requestId: 'r1',
      traceparent: 't1',
      request: get('http://127.0.0.1/'),
      header: () => undefined,
      connection: undefined,
      clientLeft,
      telemetry: createRecordedTelemetry(),
      readJson: async () => undefined,
      streams: () => () => undefined,
      addHeaders: () => undefined,
      callerId: 'c1',
      bodyIsNoJson: async () => undefined,
      reserve: async () => ({ settle: async () => undefined, refund: async () => undefined }),
    },
    {
      question: { message: 'x' },
      deadlineMs,
      measure: () => ({ texts: [], maxOutputTokens: 1 }),
    },
  );
}

describe('openTurn', () => {
  it('ends work that ignores its signal when the time is up', async () => {
    const turn = await turnOf(10);

    await expect(turn.within(never())).rejects.toMatchObject({ code: 'upstream_timeout' });

    expect(turn.context.signal.aborted).toBe(true);
  });

  it('ends with the reason of the client that left', async () => {
    const client = new AbortController();
    const turn = await turnOf(10_000, client.signal);

    const work = turn.within(never());
    client.abort(new ClientDisconnectedError());

    await expect(work).rejects.toBeInstanceOf(ClientDisconnectedError);
    await expect(turn.within(never())).rejects.toBeInstanceOf(ClientDisconnectedError);
    turn.close();
  });

  it('passes on what the work gives, and never aborts after it was closed', async () => {
    const turn = await turnOf(10);

    expect(await turn.within(Promise.resolve(7))).toBe(7);
    await expect(turn.within(Promise.reject(new RangeError('x')))).rejects.toThrow(RangeError);
    turn.close();
    await new Promise((resolve) => setTimeout(resolve, 30));

    expect(turn.context.signal.aborted).toBe(false);
  });

  it('stops clock and work when it is abandoned', async () => {
    const before = countTimers();
    const turn = await turnOf(10_000);

    turn.abandon();

    expect(turn.context.signal.aborted).toBe(true);
    expect(countTimers()).toBe(before);
  });

  it('survives work that fails after its time', async () => {
    const late = Promise.withResolvers<never>();
    const turn = await turnOf(5);

    await expect(turn.within(late.promise)).rejects.toMatchObject({ code: 'upstream_timeout' });
    late.reject(new Error('late'));
    await new Promise(setImmediate);

    expect(turn.context.signal.aborted).toBe(true);
  });
});
