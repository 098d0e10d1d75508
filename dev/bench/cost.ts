import { parseArgs } from 'node:util';
import { UNLIMITED, WITHOUT_QUEUES } from '../faults/settings.ts';
import { PROJECT_ROOT } from '../project-root.ts';
import { formatTable } from '../table.ts';
import { startChildServer, type ChildServer } from './child-server.ts';
import { startCompetitors, type Competitor } from './competitors.ts';
import { measureCost, ratioOf, type MeasuredRequest, type Costs } from './measure-cost.ts';
import { median } from './measure-requests.ts';

const BACK_TO_BACK = { rounds: 20, requests: 120, lanes: 8, gapMs: 0 };
const WITH_GAPS = { rounds: 10, requests: 40, lanes: 1, gapMs: 10 };
const RATIOS = ['to pass-through', 'to baseline'];
const JSON_TYPE = { 'content-type': 'application/json' };

/**
 * `npx node dev/bench/cost.ts [--portkey] [--baseline FOLDER] [--only TEXT]`: the CPU time of one
 * request of each kind, or of those whose name contains the text. With a baseline it also measures
 * the built package of another checkout in the same run.
 */
const { values } = parseArgs({
  options: {
    portkey: { type: 'boolean', default: false },
    baseline: { type: 'string' },
    only: { type: 'string', default: '' },
  },
});
const parts: ChildServer[] = [];
const competitors = await startCompetitors({ portkey: values.portkey });
try {
  const upstreamUrl = competitors.all.find(({ name }) => name === 'upstream')?.url ?? '';
  const measured = [
    ...competitors.all.flatMap((one) => requestsOf(one, one.name)),
    ...(await startCached(upstreamUrl)),
    ...(values.baseline === undefined ? [] : await startBaseline(values.baseline, upstreamUrl)),
  ].filter(({ name }) => name.includes(values.only));
  const busy = await measureCost(measured, BACK_TO_BACK);
  const spaced = await measureCost(
    measured.filter(({ name }) => !/health|hit/.test(name)),
    WITH_GAPS,
  );
  print(busy, spaced);
} finally {
  for (const part of parts) await part.stop();
  await competitors.stop();
}

function requestsOf(competitor: Competitor, name: string): MeasuredRequest[] {
  const { url, headers, pid } = competitor;
  if (pid === undefined) return [];
  const whole = { name, url, headers, body: competitor.body(false), pid };
  // The other gateway rejects the streams of the development model.
  if (name === 'portkey') return [whole];
  return [whole, { ...whole, name: `${name} stream`, body: competitor.body(true) }];
}

function environmentOf(upstreamUrl: string): Record<string, string> {
  return {
    ...UNLIMITED,
    OPENAI_BASE_URL: upstreamUrl.replace('/chat/completions', ''),
    OPENAI_API_KEY: 'bench',
    OPENAI_MODEL: 'dev/instant',
    ...WITHOUT_QUEUES,
  };
}

async function startHost(appRoot: string, environment: object): Promise<ChildServer> {
  const host = await startChildServer({ script: 'run-host.ts', input: { appRoot, environment } });
  parts.push(host);
  return host;
}

async function startCached(upstreamUrl: string): Promise<MeasuredRequest[]> {
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

async function startBaseline(root: string, upstreamUrl: string): Promise<MeasuredRequest[]> {
  const { url, pid } = await startHost(root, environmentOf(upstreamUrl));
  return ['chat', 'completions'].flatMap((name) => {
    const own = competitors.all.find((one) => one.name === name);
    if (own === undefined) return [];
    return requestsOf({ ...own, url: url + new URL(own.url).pathname, pid }, `baseline ${name}`);
  });
}

function print(busy: Costs, spaced: Costs): void {
  const rows = [...busy.keys()].map((name) =>
    [[name], cellsOf(busy, name), cellsOf(spaced, name)].flat(),
  );
  const headings = [['request', 'us CPU'], RATIOS, ['us with gaps'], RATIOS].flat();
  console.log(
    formatTable(
      headings.map((heading) => ({ heading })),
      rows,
    ),
  );
}

function cellsOf(costs: Costs, name: string): string[] {
  return [
    toText(median(costs.get(name) ?? []), 0),
    toText(ratioOf(costs, { of: name, to: counterpartOf(name, 'pass-through') }), 2),
    toText(ratioOf(costs, { of: name, to: `baseline ${name}` }), 2),
  ];
}

/** The request of the same kind, whole or streamed, to another server. */
function counterpartOf(name: string, other: string): string {
  return name.endsWith(' stream') ? `${other} stream` : other;
}

function toText(value: number, digits: number): string {
  return Number.isNaN(value) ? '' : value.toFixed(digits);
}
