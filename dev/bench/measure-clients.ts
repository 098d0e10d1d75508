import { once } from 'node:events';
import { fork } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import * as z from 'zod';
import { systemClock } from '../../shared/clock.ts';
import { createHttpClient } from '../../shared/model/http-client.ts';
import { parseJson } from '../../shared/json.ts';
import { readText } from '../../shared/model/openai/read-response.ts';
import { createResilientModel, DEFAULT_RESILIENCE } from '../../shared/model/resilient-model.ts';
import { noopTelemetry } from '../../shared/telemetry/create-telemetry.ts';
import { isMain } from '../project-root.ts';
import { median } from './measure-requests.ts';
import { toTextTable, type SpeedRow } from './report.ts';

const MAX_BYTES = 100_000;
const CALLS = 1_000;
const AT_ONCE = 50;
const CALL_MS = 100;
const ANSWER = JSON.stringify({
  id: 'chatcmpl-1',
  object: 'chat.completion',
  created: 1,
  model: 'm',
  choices: [
    { index: 0, message: { role: 'assistant', content: 'Hello there' }, finish_reason: 'stop' },
  ],
  usage: { prompt_tokens: 10, completion_tokens: 20, total_tokens: 30 },
});
const QUESTION = { model: 'm', messages: [{ role: 'user' as const, content: 'Hello' }] };
const HEADERS = { authorization: 'Bearer bench', 'content-type': 'application/json' };

/** Model calls by different clients, each loaded where it is measured. */
const CLIENTS: Readonly<Record<string, (baseUrl: string) => Promise<() => Promise<unknown>>>> = {
  async 'official client on fetch'(baseURL) {
    const { OpenAI } = await import('openai');
    const client = new OpenAI({ baseURL, apiKey: 'bench', maxRetries: 0 });
    return () => client.chat.completions.create(QUESTION);
  },
  async 'official client as it is used here'(baseUrl) {
    const { EndpointOpenAI } = await import('../../shared/model/openai/openai-client.ts');
    const client = new EndpointOpenAI(
      { name: 'bench', kind: 'openai', baseUrl, model: 'm', apiKey: async () => 'bench' },
      createHttpClient(),
    );
    return async () => {
      const { signal } = new AbortController();
      const { body } = await client.createCompletion(QUESTION, { signal });
      return parseJson(await readText(body, MAX_BYTES));
    };
  },
  async 'the same with retries and policies'(baseUrl) {
    const model = createResilientModel({
      endpoints: [
        { name: 'bench', kind: 'openai', baseUrl, model: 'm', apiKey: async () => 'key' },
      ],
      settings: DEFAULT_RESILIENCE,
      clock: systemClock,
      random: Math.random,
      telemetry: noopTelemetry,
      httpClient: createHttpClient(),
    });
    return () => {
      const { signal } = new AbortController();
      return model.complete(QUESTION, { signal, telemetry: noopTelemetry });
    };
  },
  async fetch(baseUrl) {
    const init = { method: 'POST', headers: HEADERS, body: JSON.stringify(QUESTION) };
    return async () => (await fetch(`${baseUrl}/chat/completions`, init)).json();
  },
  async 'node:http as it is used here'(baseUrl) {
    const client = createHttpClient();
    const address = `${baseUrl}/chat/completions`;
    return async () => {
      const { signal } = new AbortController();
      const body = JSON.stringify(QUESTION);
      const response = await client.post({ address, headers: HEADERS, body, signal });
      return parseJson(await readText(response.body, MAX_BYTES));
    };
  },
};

const ROUNDS = 3;

/** CPU time of one call in microseconds. */
interface CallCost {
  /** Mean of the first calls of a process. */
  readonly cold: number;
  /** Mean of the calls after them. */
  readonly warm: number;
}

const costSchema = z.object({ cold: z.number(), warm: z.number() });

/**
 * The CPU time of one model call by each client and transport, each in fresh processes that take
 * turns; the median of three.
 */
export async function measureClients(): Promise<readonly SpeedRow[]> {
  const server = createServer((request, response) => {
    request.resume();
    setTimeout(() => response.setHeader('content-type', 'application/json').end(ANSWER), CALL_MS);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  const costs = new Map<string, CallCost[]>(Object.keys(CLIENTS).map((name) => [name, []]));
  for (let round = 1; round <= ROUNDS; round += 1) {
    for (const [name, measured] of costs) measured.push(await measureInProcess(name, url));
  }
  server.closeAllConnections();
  server.close();
  return [...costs].map(([name, measured]) => ({
    what: `model call, ${name}`,
    measured: `${medianOf(measured, 'cold')} us CPU, then ${medianOf(measured, 'warm')} us`,
    target: '',
    how: `the first ${CALLS.toLocaleString('en')} calls of a process and as many more, ${AT_ONCE} at a time`,
  }));
}

async function measureInProcess(name: string, url: string): Promise<CallCost> {
  const child = fork(import.meta.filename, [name, url]);
  const [message]: unknown[] = await once(child, 'message');
  await once(child, 'exit');
  return costSchema.parse(message);
}

function medianOf(costs: readonly CallCost[], part: keyof CallCost): number {
  return median(costs.map((cost) => cost[part]));
}

async function measureCalls(call: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage();
  let started = 0;
  async function runLane(): Promise<void> {
    while (started < CALLS) {
      started += 1;
      await call();
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, runLane));
  const { user, system } = process.cpuUsage(before);
  return Math.round((user + system) / CALLS);
}

/** In a process of its own: sends the costs of one client to the parent. */
async function measureHere(name: string, url: string): Promise<void> {
  const call = await CLIENTS[name]?.(url);
  if (call === undefined) throw new TypeError(`Cannot measure ${name}: no such client`);
  const cost: CallCost = { cold: await measureCalls(call), warm: await measureCalls(call) };
  process.send?.(cost, () => process.exit());
}

if (isMain(import.meta.filename)) {
  const [name, url] = process.argv.slice(2);
  if (name === undefined || url === undefined) console.log(toTextTable(await measureClients()));
  else await measureHere(name, url);
}
