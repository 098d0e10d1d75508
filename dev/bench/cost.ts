import { parseArgs } from 'node:util';
import { UNLIMITED } from '../faults/settings.ts';
import { PROJECT_ROOT } from '../project-root.ts';
import { formatTable } from '../table.ts';
import { startChildServer, type ChildServer } from './child-server.ts';
import { startCompetitors, type Competitor } from './competitors.ts';
import { measureCost, type CostContender } from './measure-cost.ts';

const BACK_TO_BACK = { rounds: 5, requests: 400, lanes: 8, gapMs: 0 };
const WITH_GAPS = { rounds: 3, requests: 150, lanes: 1, gapMs: 10 };
const JSON_TYPE = { 'content-type': 'application/json' };

/**
 * `npx node dev/bench/cost.ts [--portkey] [--baseline FOLDER]`: the CPU time of one request of each
 * kind. With a baseline it also measures the built package of another checkout in the same run.
 */
const { values } = parseArgs({
  options: { portkey: { type: 'boolean', default: false }, baseline: { type: 'string' } },
});
const parts: ChildServer[] = [];
const competitors = await startCompetitors({ portkey: values.portkey });
try {
  const upstreamUrl = competitors.all.find(({ name }) => name === 'upstream')?.url ?? '';
  const contenders = [
    ...competitors.all.flatMap((one) => contendersOf(one, one.name)),
    ...(await startCached(upstreamUrl)),
    ...(values.baseline === undefined ? [] : await startBaseline(values.baseline, upstreamUrl)),
  ];
  const busy = await measureCost(contenders, BACK_TO_BACK);
  const spaced = await measureCost(
    contenders.filter(({ name }) => !/health|hit/.test(name)),
    WITH_GAPS,
  );
  print(busy, spaced);
} finally {
  for (const part of parts) await part.stop();
  await competitors.stop();
}

function contendersOf({ url, headers, body, pid }: Competitor, name: string): CostContender[] {
  if (pid === undefined) return [];
  const whole = { name, url, headers, body: body(false), pid };
  // The other gateway rejects the streams of the development model.
  if (name === 'portkey') return [whole];
  return [whole, { ...whole, name: `${name} stream`, body: body(true) }];
}

function environmentOf(upstreamUrl: string): Record<string, string> {
  return {
    ...UNLIMITED,
    OPENAI_BASE_URL: upstreamUrl.replace('/chat/completions', ''),
    OPENAI_API_KEY: 'bench',
    OPENAI_MODEL: 'dev/instant',
    'AzureWebJobs.batch.Disabled': 'true',
    'AzureWebJobs.batchPoison.Disabled': 'true',
  };
}

async function startHost(appRoot: string, environment: object): Promise<ChildServer> {
  const host = await startChildServer({ script: 'run-host.ts', input: { appRoot, environment } });
  parts.push(host);
  return host;
}

async function startCached(upstreamUrl: string): Promise<CostContender[]> {
  const environment = { ...environmentOf(upstreamUrl), AGENT__CACHE__TTL_SECONDS: '300' };
  const { url, pid } = await startHost(PROJECT_ROOT, environment);
  return [
    {
      name: 'cache hit',
      url: `${url}/api/chat`,
      headers: JSON_TYPE,
      body: JSON.stringify({ message: 'How fast are you?' }),
      pid,
    },
    { name: 'health', url: `${url}/health`, headers: {}, body: undefined, pid },
  ];
}

async function startBaseline(root: string, upstreamUrl: string): Promise<CostContender[]> {
  const { url, pid } = await startHost(root, environmentOf(upstreamUrl));
  return ['chat', 'completions'].flatMap((name) => {
    const own = competitors.all.find((one) => one.name === name);
    if (own === undefined) return [];
    return contendersOf({ ...own, url: url + new URL(own.url).pathname, pid }, `baseline ${name}`);
  });
}

function print(busy: ReadonlyMap<string, number>, spaced: ReadonlyMap<string, number>): void {
  const rows = [...busy].map(([name, us]) => [
    name,
    us.toFixed(0),
    toRatio(us, busy.get(counterpartOf(name, 'pass-through'))),
    toRatio(us, busy.get(`baseline ${name}`)),
    (spaced.get(name) ?? Number.NaN).toFixed(0),
    toRatio(spaced.get(name), spaced.get(counterpartOf(name, 'pass-through'))),
    toRatio(spaced.get(name), spaced.get(`baseline ${name}`)),
  ]);
  const headings = [
    'request',
    'us CPU',
    'to pass-through',
    'to baseline',
    'us with gaps',
    'to pass-through',
    'to baseline',
  ];
  console.log(
    formatTable(
      headings.map((heading) => ({ heading })),
      rows,
    ),
  );
}

function counterpartOf(name: string, other: string): string {
  return name.endsWith(' stream') ? `${other} stream` : other;
}

function toRatio(value = Number.NaN, base = Number.NaN): string {
  const ratio = value / base;
  return Number.isNaN(ratio) ? '' : `${ratio.toFixed(2)}x`;
}
