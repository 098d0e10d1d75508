import { startAzurite } from '../azurite.ts';
import { UNLIMITED, WITHOUT_QUEUES } from '../faults/settings.ts';
import { prepareStorage } from '../prepare-storage.ts';
import { PROJECT_ROOT } from '../project-root.ts';
import { startChildServer } from './child-server.ts';
import type { Competitor, Competitors } from './competitors.ts';
import type { MeasuredRequest } from './measure-cost.ts';

/** The requests whose CPU time is compared. */
export interface CostKinds {
  readonly kinds: readonly MeasuredRequest[];
  stop(): Promise<void>;
}

export interface CostOptions {
  /** Another checkout whose built package is measured in the same run. */
  readonly baseline?: string | undefined;
  /** Only kinds whose name contains this text. */
  readonly only?: string | undefined;
}

const JSON_TYPE = { 'content-type': 'application/json' };
const MESSAGE = 'How fast are you?';

/** Lists the kinds, and starts the hosts that the competitors lack. */
export async function startCostKinds(
  { all }: Competitors,
  { baseline, only = '' }: CostOptions,
): Promise<CostKinds> {
  const stops: (() => Promise<unknown>)[] = [];
  async function startHost(appRoot: string, settings: Record<string, string>) {
    const environment = { ...environmentOf(all), ...settings };
    const host = await startChildServer({ script: 'run-host.ts', input: { appRoot, environment } });
    stops.push(() => host.stop());
    return host;
  }
  async function stop(): Promise<void> {
    for (const one of stops.splice(0).toReversed()) await one();
  }
  try {
    const cached = await startHost(PROJECT_ROOT, { AGENT__CACHE__TTL_SECONDS: '300' });
    const storage = await startAzurite();
    stops.push(() => storage.stop());
    await prepareStorage(storage.connectionString);
    const stored = await startHost(PROJECT_ROOT, { AzureWebJobsStorage: storage.connectionString });
    const chat = { headers: JSON_TYPE, body: JSON.stringify({ message: MESSAGE }) };
    const kinds = [
      ...minimumOf(all),
      ...all.flatMap((one) => requestsOf(one, one.name)),
      ...responsesOf(all),
      { ...chat, name: 'chat with a session', url: `${stored.url}/api/chat`, pid: stored.pid },
      { ...chat, name: 'cache hit', url: `${cached.url}/api/chat`, pid: cached.pid },
      {
        name: '/health',
        url: `${cached.url}/health`,
        headers: {},
        body: undefined,
        pid: cached.pid,
      },
    ];
    if (baseline !== undefined) {
      const host = await startHost(baseline, {});
      kinds.push(...baselineOf(all, host));
    }
    return { kinds: kinds.filter(({ name }) => name.includes(only)), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function environmentOf(all: readonly Competitor[]): Record<string, string> {
  return {
    ...UNLIMITED,
    ...WITHOUT_QUEUES,
    OPENAI_BASE_URL: urlOf(all, 'upstream').replace('/chat/completions', ''),
    OPENAI_API_KEY: 'bench',
    OPENAI_MODEL: 'dev/instant',
  };
}

function urlOf(all: readonly Competitor[], name: Competitor['name']): string {
  return all.find((one) => one.name === name)?.url ?? '';
}

function requestsOf(competitor: Competitor, name: string): MeasuredRequest[] {
  const { url, headers, pid } = competitor;
  if (pid === undefined) return [];
  const whole = { name, url, headers, body: competitor.body(false), pid };
  // The other gateway rejects the streams of the development model.
  if (competitor.name === 'portkey') return [whole];
  return [whole, { ...whole, name: `${name} stream`, body: competitor.body(true) }];
}

/** The minimum: a function that reads its body and answers by itself: what host and library cost. */
function minimumOf(all: readonly Competitor[]): MeasuredRequest[] {
  return all
    .filter(({ name }) => name === 'pass-through')
    .flatMap((one) => requestsOf(one, 'minimum').slice(0, 1))
    .map((one) => at(one, new URL('/minimum', one.url).href));
}

function responsesOf(all: readonly Competitor[]): MeasuredRequest[] {
  const body = { model: 'agent', input: MESSAGE, store: false };
  return all
    .filter(({ name }) => name === 'completions')
    .flatMap((one) => requestsOf(one, 'responses'))
    .map((one) => {
      const stream = one.name.endsWith('stream');
      const { href } = new URL('/v1/responses', one.url);
      return Object.assign(at(one, href), { body: JSON.stringify({ ...body, stream }) });
    });
}

function baselineOf(
  all: readonly Competitor[],
  host: { readonly url: string; readonly pid: number },
): MeasuredRequest[] {
  return all
    .filter(({ name }) => name === 'chat' || name === 'completions')
    .flatMap((one) => requestsOf({ ...one, pid: host.pid }, `baseline ${one.name}`))
    .map((one) => at(one, host.url + new URL(one.url).pathname));
}

function at(one: MeasuredRequest, url: string): MeasuredRequest {
  return { ...one, url };
}
