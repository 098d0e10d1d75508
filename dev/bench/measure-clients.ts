import { once } from 'node:events';
import { fork } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createHttpClient } from '../../shared/model/http-client.ts';
import { readText } from '../../shared/model/openai/read-response.ts';
import { toTextTable } from './report.ts';

const CALLS = 1_000;
const AT_ONCE = 50;
const CALL_MS = 200;
const IDEAL_MS = (CALLS / AT_ONCE) * CALL_MS;
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

/** Ways to make one call of a model, each loaded where it is measured. */
const CLIENTS: Readonly<Record<string, (baseUrl: string) => Promise<() => Promise<unknown>>>> = {
  async 'official client'(baseURL) {
    const { OpenAI } = await import('openai');
    const client = new OpenAI({ baseURL, apiKey: 'bench', maxRetries: 0 });
    return () => client.chat.completions.create(QUESTION);
  },
  async fetch(baseUrl) {
    const init = { method: 'POST', headers: HEADERS, body: JSON.stringify(QUESTION) };
    return async () => (await fetch(`${baseUrl}/chat/completions`, init)).json();
  },
  async 'our transport'(baseUrl) {
    const send = createHttpClient().postTo(`${baseUrl}/chat/completions`);
    const body = JSON.stringify(QUESTION);
    return async () => {
      const { signal } = new AbortController();
      const answer: unknown = JSON.parse(
        await readText((await send({ headers: HEADERS, body, signal })).body, 100_000),
      );
      return answer;
    };
  },
};

const [way, baseUrl] = process.argv.slice(2);
if (way === undefined || baseUrl === undefined) await compare();
else await measure(way, baseUrl);

/** What each way costs in a fresh process, where nothing is warm, three times by turns. */
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

async function measure(name: string, url: string): Promise<void> {
  const call = await CLIENTS[name]?.(url);
  if (call === undefined) throw new TypeError(`Cannot measure ${name}: there is no such way`);
  const startedAt = performance.now();
  const before = process.cpuUsage();
  let begun = 0;
  const lane = async (): Promise<void> => {
    while (begun < CALLS) {
      begun += 1;
      await call();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  const { user, system } = process.cpuUsage(before);
  const share = (IDEAL_MS / (performance.now() - startedAt)) * 100;
  const text = `${Math.round((user + system) / 1_000)} ms of processor time, ${share.toFixed(1)} % of the ideal speed`;
  process.send?.(text, () => process.exit());
}
