import { setTimeout as sleep } from 'node:timers/promises';
import type { FaultEnvironment } from './fault-environment.ts';

/** Watches what must hold whatever the fault is. */
export interface EnvironmentMonitor {
  /** Ends the watch and tells what broke; `told` is all that callers were sent. */
  end(told: readonly string[]): Promise<string[]>;
}

const HEALTH_EVERY_MS = 40;
const NEVER_LOGGED = /unhandled|uncaught/i;

/** Asks for the health all the time, and remembers where the log and the worker were. */
export function monitorEnvironment(environment: FaultEnvironment): EnvironmentMonitor {
  const pid = environment.workerPid();
  const logStart = environment.log.length;
  const over = new AbortController();
  const health = monitorHealth(environment.url, over.signal);
  return {
    async end(told) {
      over.abort();
      const statuses = await health;
      const lines = environment.log.slice(logStart);
      const bad = statuses.filter((status) => status !== 200);
      return [
        ...(pid !== undefined && environment.workerPid() === pid ? [] : ['the worker has died']),
        ...(bad.length === 0 ? [] : [`/health answered ${bad[0]} during the fault`]),
        ...(statuses.length > 0 ? [] : ['/health was not asked']),
        ...lines.filter((line) => NEVER_LOGGED.test(line)).map((line) => `logged: ${line}`),
        ...findCanaries(environment, [...told, ...lines]),
      ];
    },
  };
}

async function monitorHealth(url: string, signal: AbortSignal): Promise<number[]> {
  const statuses: number[] = [];
  do {
    statuses.push(await fetch(`${url}/health`).then(readStatus, () => 0));
    await sleep(HEALTH_EVERY_MS, undefined, { signal }).catch(() => undefined);
  } while (!signal.aborted);
  return statuses;
}

async function readStatus(response: Response): Promise<number> {
  await response.arrayBuffer();
  return response.status;
}

function findCanaries(environment: FaultEnvironment, texts: readonly string[]): string[] {
  const all = texts.join('\n').toLowerCase();
  return environment.canaries
    .filter((canary) => all.includes(canary.toLowerCase()))
    .map((canary) => `'${canary}' was shown`);
}
