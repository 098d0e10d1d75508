import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { post } from '../send-request.ts';
import { acted, type FaultFamily, type Finding, type Mode } from '../fault-case.ts';
import type { FaultEnvironment } from '../fault-environment.ts';
import { newMarker } from '../run-case.ts';
import { QUICK } from '../settings.ts';

/** Generous for a busy machine; the promise is a second. */
const ABORTED_WITHIN_MS = 3_000;
const READS_ONE_PIECE_MS = 100;
const SLOW_FOR_MS = 2_000;
const WARM_FOR_MS = 400;
const WARM_ROUNDS = 12;
const ANSWER_BYTES = 100_000_000;
const MAX_GROWTH_KB = 16 * 1024;
/** Longer than the reader takes, so that only its pace can hold the stream up. */
const LONG_DEADLINES = {
  AGENT__MODEL__ATTEMPT_TIMEOUT_MS: '30000',
  AGENT__LIMITS__ANSWER_DEADLINE_MS: '30000',
  AGENT__LIMITS__STREAM_DEADLINE_MS: '30000',
};

/** H1 and H2: the fault is at the other end. */
export const clients: FaultFamily = {
  name: 'clients',
  settings: { ...QUICK, ...LONG_DEADLINES },
  lanes: 1,
  cases: [
    acted({
      id: 'H1',
      injected: 'the client leaves during the answer',
      promised: 'the upstream call is aborted within a second',
      act: disconnect,
    }),
    acted({
      id: 'H2',
      injected: 'the client of 100 MB reads slowly',
      promised: 'the upstream waits; memory grows < 16 MB',
      modes: ['stream'],
      act: readSlowly,
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
  const leftAt = performance.now();
  client.abort();
  await until(() => environment.callsWith(marker)[0]?.status === 'aborted', ABORTED_WITHIN_MS);
  const ms = Math.round(performance.now() - leftAt);
  const [call] = environment.callsWith(marker);
  const after = (call?.tokensSent ?? 0) - tokensBefore;
  const calls = environment.callsWith(marker).length;
  return {
    happened: `${call?.status} after ${ms} ms, ${after} tokens later`,
    calls,
    told: [],
    problems: [
      ...(call?.status === 'aborted' ? [] : [`the upstream call is ${call?.status}`]),
      ...(calls === 1 ? [] : [`${calls} calls instead of 1`]),
    ],
  };
}

async function readSlowly(environment: FaultEnvironment, mode: Mode): Promise<Finding> {
  const marker = newMarker();
  const message = `dev/bytes-${ANSWER_BYTES} ${marker}`;
  // What a busy process needs anyway is not what is measured. Its runtime takes some streams to have
  // reserved that, whoever reads them.
  let usualKb = await readAll(environment, { message, mode });
  for (let round = 0; round < WARM_ROUNDS; round += 1) {
    const forMs = WARM_FOR_MS;
    usualKb = Math.max(usualKb, await readFor(environment, { message, mode, forMs }));
  }
  const mostKb = await readFor(environment, { message, mode, forMs: SLOW_FOR_MS });
  const held = environment.callsWith(marker).slice(1);
  const isHeld =
    held.length === WARM_ROUNDS + 1 && held.every(({ status }) => status === 'aborted');
  const grownKb = mostKb - usualKb;
  return {
    happened: `upstream ${isHeld ? 'waited' : 'was not held up'}, ${(grownKb / 1024).toFixed(1)} MB more`,
    calls: held.length,
    told: [],
    problems: [
      ...(isHeld ? [] : ['the upstream was not slowed down to the pace of the reader']),
      ...(grownKb < MAX_GROWTH_KB ? [] : [`the worker grew by ${grownKb} kB`]),
    ],
  };
}

/** Reads a piece now and then, leaves, and tells the most memory that the worker held meanwhile. */
async function readFor(
  environment: FaultEnvironment,
  {
    message,
    mode,
    forMs,
  }: { readonly message: string; readonly mode: Mode; readonly forMs: number },
): Promise<number> {
  const client = new AbortController();
  const response = await post(environment.url, { message, mode, signal: client.signal });
  const reader = response.body?.getReader();
  let mostKb = 0;
  for (const endAt = performance.now() + forMs; performance.now() < endAt;) {
    await reader?.read();
    mostKb = Math.max(mostKb, await residentKb(environment.workerPid()));
    await sleep(READS_ONE_PIECE_MS);
  }
  client.abort();
  await until(
    () => environment.callsWith(message).every(({ status }) => status !== 'running'),
    ABORTED_WITHIN_MS,
  );
  return mostKb;
}

/** Reads as fast as it can, and tells the most memory that the worker held meanwhile. */
async function readAll(
  environment: FaultEnvironment,
  { message, mode }: { readonly message: string; readonly mode: Mode },
): Promise<number> {
  const response = await post(environment.url, { message, mode });
  const reader = response.body?.getReader();
  let mostKb = 0;
  while ((await reader?.read())?.done === false) {
    mostKb = Math.max(mostKb, await residentKb(environment.workerPid()));
  }
  return mostKb;
}

async function until(isTrue: () => boolean, withinMs: number): Promise<void> {
  const giveUpAt = performance.now() + withinMs;
  while (!isTrue() && performance.now() < giveUpAt) await sleep(10);
}

/** What the process holds in memory; 0 on systems that do not tell. */
async function residentKb(pid: number | undefined): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0);
}
