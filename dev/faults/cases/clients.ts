import { setTimeout as sleep } from 'node:timers/promises';
import { post, sendRequest } from '../send-request.ts';
import { custom, type FaultFamily, type Finding, type Mode } from '../fault-case.ts';
import type { FaultEnvironment } from '../fault-environment.ts';
import { newMarker } from '../run-case.ts';
import { FAST_RETRIES } from '../settings.ts';
import { requestReport, WORKER_REPORTS } from '../worker-report.ts';

/** The promise is one second; a busy machine may need longer. */
const ABORTED_WITHIN_MS = 3_000;
const READS_ONE_PIECE_MS = 100;
const SLOW_FOR_MS = 2_000;
const ANSWER_BYTES = 100_000_000;
const MAX_GROWTH_BYTES = 16 * 1_048_576;
/** Longer than the client reads, so that only its speed can slow the stream down. */
const LONG_DEADLINES = {
  AGENT__MODEL__ATTEMPT_TIMEOUT_MS: '30000',
  AGENT__LIMITS__ANSWER_DEADLINE_MS: '30000',
  AGENT__LIMITS__STREAM_DEADLINE_MS: '30000',
};

/** H1 and H2: faults of the client. */
export const clients: FaultFamily = {
  name: 'clients',
  settings: { ...FAST_RETRIES, ...LONG_DEADLINES },
  lanes: 1,
  cases: [
    custom({
      id: 'H1',
      injected: 'the client disconnects during the answer',
      promised: 'the upstream call is aborted within a second',
      run: disconnect,
    }),
    custom({
      id: 'H2',
      injected: 'the client of 100 MB reads slowly',
      promised: 'the app reads no faster; memory grows < 16 MB',
      modes: ['stream'],
      own: WORKER_REPORTS,
      run: readSlowly,
    }),
  ],
};

async function disconnect(environment: FaultEnvironment, mode: Mode): Promise<Finding> {
  const marker = newMarker();
  const script = mode === 'stream' ? 'dev/long-100000' : 'dev/slow-500000';
  const client = new AbortController();
  const pending = post(environment.url, {
    message: `${script} ${marker}`,
    mode,
    signal: client.signal,
  });
  if (mode === 'stream') await (await pending).body?.getReader().read();
  else {
    pending.catch(() => undefined);
    await until(() => environment.callsWith(marker).length > 0, ABORTED_WITHIN_MS);
  }
  const tokensBefore = environment.callsWith(marker)[0]?.tokensSent ?? 0;
  const disconnectedAt = performance.now();
  client.abort();
  await until(() => environment.callsWith(marker)[0]?.status === 'aborted', ABORTED_WITHIN_MS);
  const ms = Math.round(performance.now() - disconnectedAt);
  const [call] = environment.callsWith(marker);
  const after = (call?.tokensSent ?? 0) - tokensBefore;
  const calls = environment.callsWith(marker).length;
  return {
    happened: `${call?.status} after ${ms} ms, ${after} tokens later`,
    calls,
    received: [],
    problems: [
      ...(call?.status === 'aborted' ? [] : [`the upstream call is ${call?.status}`]),
      ...(calls === 1 ? [] : [`${calls} calls instead of 1`]),
    ],
  };
}

async function readSlowly(environment: FaultEnvironment, mode: Mode): Promise<Finding> {
  const marker = newMarker();
  // The first stream loads and compiles code, which stays in memory, so the comparison starts after
  // it.
  await sendRequest(environment.url, { message: `dev/bytes-1000000 ${newMarker()}`, mode });
  const usualBytes = await readLiveBytes(environment);
  const client = new AbortController();
  const response = await post(environment.url, {
    message: `dev/bytes-${ANSWER_BYTES} ${marker}`,
    mode,
    signal: client.signal,
  });
  const reader = response.body?.getReader();
  for (const endAt = performance.now() + SLOW_FOR_MS; performance.now() < endAt;) {
    await reader?.read();
    await sleep(READS_ONE_PIECE_MS);
  }
  const grownBytes = (await readLiveBytes(environment)) - usualBytes;
  client.abort();
  await until(
    () => environment.callsWith(marker).every(({ status }) => status !== 'running'),
    ABORTED_WITHIN_MS,
  );
  const calls = environment.callsWith(marker);
  const waited = calls.length === 1 && calls[0]?.status === 'aborted';
  const grownMb = (grownBytes / 1_048_576).toFixed(1);
  return {
    happened: `upstream ${waited ? 'waited' : 'did not wait'}, ${grownMb} MB more`,
    calls: calls.length,
    received: [],
    problems: [
      ...(waited ? [] : ['the app read the upstream faster than the client reads']),
      ...(grownBytes < MAX_GROWTH_BYTES ? [] : [`the worker holds ${grownMb} MB more`]),
    ],
  };
}

/** Bytes that objects and buffers of the worker hold after a garbage collection; 0 on Windows. */
async function readLiveBytes(environment: FaultEnvironment): Promise<number> {
  return (await requestReport(environment.workerPid(), environment.log))?.liveBytes ?? 0;
}

async function until(isTrue: () => boolean, withinMs: number): Promise<void> {
  const endAt = performance.now() + withinMs;
  while (!isTrue() && performance.now() < endAt) await sleep(10);
}
