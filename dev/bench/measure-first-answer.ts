import { join } from 'node:path';
import { UNLIMITED, WITHOUT_QUEUES } from '../faults/settings.ts';
import { PROJECT_ROOT } from '../project-root.ts';
import { startChildServer } from './child-server.ts';
import { median } from './measure-requests.ts';
import { readCpuUs } from './read-cpu.ts';
import type { SpeedRow } from './report.ts';

const STARTS = 5;

interface FirstAnswer {
  /** CPU time of the worker from its start to the end of its first answer. */
  readonly cpuMs: number;
  /** From the first request to its answer. */
  readonly ms: number;
}

/** The first answer of a cold worker, which loads and creates what a later one finds ready. */
export async function measureFirstAnswer(): Promise<SpeedRow> {
  const upstream = await startChildServer({ script: 'run-model.ts', input: {} });
  const model = {
    OPENAI_BASE_URL: upstream.url,
    OPENAI_API_KEY: 'bench',
    OPENAI_MODEL: 'dev/instant',
  };
  const ours: FirstAnswer[] = [];
  const bare: FirstAnswer[] = [];
  try {
    for (let start = 0; start < STARTS; start += 1) {
      ours.push(await startOnce(PROJECT_ROOT, { ...model, ...UNLIMITED, ...WITHOUT_QUEUES }));
      bare.push(await startOnce(join(import.meta.dirname, 'pass-through'), model));
    }
  } finally {
    await upstream.stop();
  }
  const [own, other] = [ours, bare].map(middle);
  const ratio = (own?.cpuMs ?? Number.NaN) / (other?.cpuMs ?? Number.NaN);
  return {
    what: 'start of a worker with its first answer',
    measured: `${own?.cpuMs.toFixed(0)} ms CPU, ${ratio.toFixed(2)}x of pass-through; the answer took ${own?.ms.toFixed(0)} ms (${other?.ms.toFixed(0)} ms)`,
    target: '',
    how: `fresh worker on the local host, POST /v1/chat/completions, median of ${STARTS}`,
    value: ratio,
  };
}

function middle(answers: readonly FirstAnswer[]): FirstAnswer {
  return {
    cpuMs: median(answers.map(({ cpuMs }) => cpuMs)),
    ms: median(answers.map(({ ms }) => ms)),
  };
}

async function startOnce(
  appRoot: string,
  environment: Readonly<Record<string, string>>,
): Promise<FirstAnswer> {
  const host = await startChildServer({ script: 'run-host.ts', input: { appRoot, environment } });
  const startedAt = performance.now();
  const response = await fetch(`${host.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'dev/instant', messages: [{ role: 'user', content: 'Hi' }] }),
  });
  await response.text();
  const ms = performance.now() - startedAt;
  const cpuMs = (await readCpuUs(host.pid)) / 1_000;
  await host.stop();
  return { cpuMs, ms };
}
