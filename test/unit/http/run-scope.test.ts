import { describe, expect, it } from 'vitest';
import { ClientDisconnectedError } from '../../../shared/http/client-connection.ts';
import { startRun } from '../../../shared/http/run-scope.ts';
import { createAuditTrail } from '../../../shared/telemetry/audit.ts';
import { get } from '../../support/http-call.ts';
import { countTimers } from '../../support/chat-handler.ts';
import { createRecordedTelemetry } from '../../support/recorded-telemetry.ts';
import { inputOf, never } from '../../support/scripted-model.ts';

function runOf(deadlineMs: number, clientDisconnected = new AbortController().signal) {
  return startRun(
    {
      requestId: 'r1',
      traceparent: 't1',
      request: get('http://127.0.0.1/'),
      header: () => undefined,
      connection: undefined,
      clientDisconnected,
      telemetry: createRecordedTelemetry(),
      audit: createAuditTrail(),
      readJson: async () => undefined,
      startStream: () => () => undefined,
      onEnd: () => undefined,
      addHeaders: () => undefined,
      callerId: 'c1',
      markNonJsonBody: async () => undefined,
      countRequest: async () => undefined,
      reserve: async () => ({ settle: async () => undefined, refund: async () => undefined }),
      reserveMore: async () => ({ settle: async () => undefined, refund: async () => undefined }),
    },
    {
      input: inputOf('x'),
      deadlineMs,
      measure: () => ({ texts: [], maxOutputTokens: 1 }),
    },
  );
}

describe('startRun', () => {
  it('ends work that ignores its signal at the deadline', async () => {
    const run = await runOf(10);

    await expect(run.raceAbort(never())).rejects.toMatchObject({ code: 'upstream_timeout' });

    expect(run.context.signal.aborted).toBe(true);
  });

  it('ends with the reason of the client that disconnected', async () => {
    const client = new AbortController();
    const run = await runOf(10_000, client.signal);

    const work = run.raceAbort(never());
    client.abort(new ClientDisconnectedError());

    await expect(work).rejects.toBeInstanceOf(ClientDisconnectedError);
    await expect(run.raceAbort(never())).rejects.toBeInstanceOf(ClientDisconnectedError);
    run.close();
  });

  it('returns the result of the work and never aborts after its end', async () => {
    const run = await runOf(10);

    expect(await run.raceAbort(Promise.resolve(7))).toBe(7);
    await expect(run.raceAbort(Promise.reject(new RangeError('x')))).rejects.toThrow(RangeError);
    run.close();
    await new Promise((resolve) => setTimeout(resolve, 30));

    expect(run.context.signal.aborted).toBe(false);
  });

  it('ends timer and work when the client cancels', async () => {
    const before = countTimers();
    const run = await runOf(10_000);

    run.abort();

    expect(run.context.signal.aborted).toBe(true);
    expect(countTimers()).toBe(before);
  });

  it('ignores work that fails after the deadline', async () => {
    const late = Promise.withResolvers<never>();
    const run = await runOf(5);

    await expect(run.raceAbort(late.promise)).rejects.toMatchObject({ code: 'upstream_timeout' });
    late.reject(new Error('late'));
    await new Promise(setImmediate);

    expect(run.context.signal.aborted).toBe(true);
  });
});
