import { once } from 'node:events';
import { fork } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { systemClock } from '../../shared/clock.ts';
import { createHttpClient } from '../../shared/model/http-client.ts';
import { parseJson } from '../../shared/json.ts';
import { readText } from '../../shared/model/openai/read-response.ts';
import { createResilientModel, DEFAULT_RESILIENCE } from '../../shared/model/resilient-model.ts';
import { noopTelemetry } from '../../shared/telemetry/create-telemetry.ts';
import { toTextTable } from './report.ts';

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

const [way, baseUrl] = process.argv.slice(2);
if (way === undefined || baseUrl === undefined) await compare();
else await measure(way, baseUrl);

/** Measures each client in a fresh process, three times, interleaved. */
async function compare(): Promise<void> {
  const server = createServer((request, response) => {
    request.resume();
    setTimeout(() => response.setHeader('content-type', 'application/json').end(ANSWER), CALL_MS);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  const rows = [];
  for (let round = 1; round <= 3; round += 1) {
    for (const name of Object.keys(CLIENTS)) {
      const child = fork(import.meta.filename, [name, url]);
      const [measured] = await once(child, 'message');
      await once(child, 'exit');
      rows.push({ what: name, measured: String(measured), target: '', how: `round ${round}` });
    }
  }
  server.closeAllConnections();
  server.close();
  console.log(toTextTable(rows));
}

/** CPU time per call, for the first calls of a process and for later ones. */
async function measure(name: string, url: string): Promise<void> {
  const call = await CLIENTS[name]?.(url);
  if (call === undefined) throw new TypeError(`Cannot measure ${name}: no such client`);
  const cold = await measureCalls(call);
  const warm = await measureCalls(call);
  process.send?.(`${cold} µs CPU per call, then ${warm} µs`, () => process.exit());
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
