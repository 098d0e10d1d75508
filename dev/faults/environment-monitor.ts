import { setTimeout as sleep } from 'node:timers/promises';
import type { FaultEnvironment } from './fault-environment.ts';

/** Checks what must hold with every fault. */
export interface EnvironmentMonitor {
  /** Ends the check and returns the violations; `received` is everything that callers received. */
  end(received: readonly string[]): Promise<string[]>;
}

const HEALTH_EVERY_MS = 40;
const NEVER_LOGGED = /unhandled|uncaught/i;

/** Requests /health continuously, and compares log and worker with their state at the start. */
export function monitorEnvironment(environment: FaultEnvironment): EnvironmentMonitor {
  const pid = environment.workerPid();
  const logStart = environment.log.length;
  const over = new AbortController();
  const health = monitorHealth(environment.url, over.signal);
  return {
    async end(received) {
      over.abort();
      const statuses = await health;
      const lines = environment.log.slice(logStart);
      const bad = statuses.filter((status) => status !== 200);
      return [
        ...(pid !== undefined && environment.workerPid() === pid ? [] : ['the worker has died']),
        ...(bad.length === 0 ? [] : [`/health answered ${bad[0]} during the fault`]),
        ...(statuses.length > 0 ? [] : ['/health was not requested']),
        ...lines.filter((line) => NEVER_LOGGED.test(line)).map((line) => `logged: ${line}`),
        ...findCanaries(environment, [...received, ...lines]),
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
