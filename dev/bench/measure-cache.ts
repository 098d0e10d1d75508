import { UNLIMITED, WITHOUT_QUEUES } from '../faults/settings.ts';
import { PROJECT_ROOT } from '../project-root.ts';
import type { Competitor } from './competitors.ts';
import { measureLoad, type Rounds } from './measure-requests.ts';
import { startChildServer } from './child-server.ts';
import type { SpeedRow } from './report.ts';

const TARGET = 2;

/**
 * Compares hits with misses on one host, interleaved. A miss has `no-cache`: it calls the model and
 * stores the response.
 */
export async function measureCache(rounds: Rounds): Promise<SpeedRow> {
  const upstream = await startChildServer({ script: 'run-model.ts', input: {} });
  const environment = {
    ...UNLIMITED,
    AGENT__CACHE__TTL_SECONDS: '300',
    OPENAI_BASE_URL: upstream.url,
    OPENAI_API_KEY: 'bench',
    OPENAI_MODEL: 'dev/instant',
    ...WITHOUT_QUEUES,
  };
  const input = { appRoot: PROJECT_ROOT, environment };
  const host = await startChildServer({ script: 'run-host.ts', input });
  try {
    const hit = competitorOf(host.url, {});
    const miss = competitorOf(host.url, { 'cache-control': 'no-cache' });
    const loads = await measureLoad([hit, miss], rounds);
    const hits = loads.get(hit)?.perSecond ?? Number.NaN;
    const misses = loads.get(miss)?.perSecond ?? Number.NaN;
    const ratio = hits / misses;
    return {
      what: 'cache hit against miss, instant upstream',
      measured: `${ratio.toFixed(2)}x (${Math.round(hits)}/s, ${Math.round(misses)}/s)`,
      target: `>= ${TARGET}x`,
      isMet: ratio >= TARGET,
      how: '32 connections, interleaved',
      value: ratio,
    };
  } finally {
    await host.stop();
    await upstream.stop();
  }
}

function competitorOf(url: string, headers: Readonly<Record<string, string>>): Competitor {
  return {
    name: 'chat',
    url: `${url}/api/chat`,
    headers: { 'content-type': 'application/json', ...headers },
    body: (stream) => JSON.stringify({ message: 'How fast are you?', stream }),
  };
}
