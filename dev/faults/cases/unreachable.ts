import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { sendRequest } from '../send-request.ts';
import {
  custom,
  type FaultCase,
  type FaultFamily,
  type Finding,
  type Mode,
} from '../fault-case.ts';
import { startFaultEnvironment, type FaultEnvironment } from '../fault-environment.ts';
import { newMarker } from '../run-case.ts';
import { SECOND_ANSWER } from '../second-endpoint.ts';
import { FAST_RETRIES, SHORT_TIMEOUTS } from '../settings.ts';

/** A name that only the scripted lookup knows. */
const SCRIPTED_HOST = 'scripted-names.example';
const PRELOAD = new URL('../script-names.ts', import.meta.url).href;
/** After a name resolves again, requests must succeed within this time. */
const RECOVERS_WITHIN_MS = 5_000;

/** U9 and U22: an upstream that cannot be reached. */
export const unreachable: FaultFamily = {
  name: 'unreachable',
  settings: FAST_RETRIES,
  lanes: 2,
  cases: [
    ...([1, 2] as const).flatMap((endpoints) => [
      bad('U9', { injected: 'connection refused', endpoints, address: closedAddress }),
      bad('U9', {
        injected: 'TLS to a port without TLS',
        endpoints,
        address: async (environment) => environment.upstreamUrl.replace('http:', 'https:'),
      }),
      bad('U22', {
        injected: 'a host name that does not exist',
        endpoints,
        address: async () => 'http://no-such-host.invalid',
      }),
    ]),
    ...['ENOTFOUND', 'EAI_AGAIN', 'slow'].map(names),
  ],
};

interface BadAddress {
  readonly injected: string;
  readonly endpoints: 1 | 2;
  readonly address: (environment: FaultEnvironment) => Promise<string>;
}

function bad(id: string, { injected, endpoints, address }: BadAddress): FaultCase {
  const outcome = endpoints === 2 ? 'answer' : 'upstream_unavailable';
  return custom({
    id,
    injected,
    endpoints,
    promised: endpoints === 2 ? 'answer from the second' : `${outcome}, Retry-After 1-300`,
    async run(environment, mode) {
      const settings = { ...FAST_RETRIES, AZURE_OPENAI_ENDPOINT: await address(environment) };
      const own = await startFaultEnvironment({ endpoints, settings });
      try {
        const marker = newMarker();
        const result = await sendRequest(own.url, { message: `dev/instant ${marker}`, mode });
        const isWell =
          endpoints === 2 ? result.text === SECOND_ANSWER : (result.retryAfterSeconds ?? 0) > 0;
        return {
          happened: `${result.outcome}, ${result.status}`,
          calls: own.secondCallsWith(marker),
          received: [result.raw, ...own.log],
          problems: [
            ...(result.outcome === outcome ? [] : [`ended as ${result.outcome}`]),
            ...(isWell ? [] : ['the answer is incomplete, or has no Retry-After']),
          ],
        };
      } finally {
        await own.stop();
      }
    },
  });
}

async function closedAddress(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}`;
}

/** Name lookups that fail for a while and then succeed. */
function names(state: string): FaultCase {
  return custom({
    id: 'U22',
    injected: `name lookup: ${state}, then healthy`,
    promised: 'upstream_unavailable or upstream_timeout; answer < 5 s after names resolve',
    async run(environment, mode) {
      const folder = await mkdtemp(join(tmpdir(), 'scripted-names-'));
      const stateFile = join(folder, 'state');
      await writeFile(stateFile, state);
      const own = await startFaultEnvironment({
        endpoints: 1,
        settings: { ...SHORT_TIMEOUTS, ...scriptedNames(environment, stateFile) },
      });
      try {
        return await breakAndRestoreDns({
          environment,
          own,
          mode,
          heal: () => writeFile(stateFile, 'healthy'),
        });
      } finally {
        await own.stop();
        await rm(folder, { recursive: true, force: true });
      }
    },
  });
}

function scriptedNames(environment: FaultEnvironment, stateFile: string): Record<string, string> {
  return {
    AZURE_OPENAI_ENDPOINT: environment.upstreamUrl.replace('127.0.0.1', SCRIPTED_HOST),
    languageWorkers__node__arguments: `--import ${PRELOAD}`,
    SCRIPTED_NAMES_FILE: stateFile,
  };
}

interface UnresolvableName {
  readonly environment: FaultEnvironment;
  readonly own: FaultEnvironment;
  readonly mode: Mode;
  readonly heal: () => Promise<void>;
}

async function breakAndRestoreDns({
  environment,
  own,
  mode,
  heal,
}: UnresolvableName): Promise<Finding> {
  const marker = newMarker();
  const lost = await sendRequest(own.url, { message: `dev/instant ${marker}`, mode });
  const callsBefore = environment.callsWith(marker).length;
  await heal();
  const healedAt = performance.now();
  let found = await sendRequest(own.url, { message: `dev/instant ${marker}`, mode });
  while (found.outcome !== 'answer' && performance.now() - healedAt < RECOVERS_WITHIN_MS) {
    await sleep(50);
    found = await sendRequest(own.url, { message: `dev/instant ${marker}`, mode });
  }
  const seconds = ((performance.now() - healedAt) / 1_000).toFixed(1);
  const isLost = ['upstream_unavailable', 'upstream_timeout'].includes(lost.outcome);
  return {
    happened: `${lost.outcome}; ${found.outcome} after ${seconds} s`,
    calls: environment.callsWith(marker).length,
    received: [lost.raw, found.raw, ...own.log],
    problems: [
      ...(isLost ? [] : [`ended as ${lost.outcome} without a name`]),
      ...(callsBefore === 0 ? [] : ['the upstream was called without a name']),
      ...(found.outcome === 'answer' ? [] : [`ended as ${found.outcome} after the name resolved`]),
    ],
  };
}
