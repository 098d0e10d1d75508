import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { METRICS } from '../../shared/telemetry/metrics.ts';
import { parsePrometheus, valueOf, type Family } from '../support/parse-prometheus.ts';
import { eventually, postChat } from './support/post-chat.ts';
import { readEvents } from './support/read-events.ts';
import { startEnvironment, type TestEnvironment } from './support/start-environment.ts';

const REQUESTS = 'http_server_request_duration_seconds_count';
const CALLS = 'gen_ai_client_operation_duration_seconds_count';
const KEY = { 'x-functions-key': 'key-of-the-scraper' };

let environment: TestEnvironment;
beforeAll(async () => {
  environment = await startEnvironment({
    // The first call of each text is refused, the second one answered.
    model: 'dev/429-then-ok',
    enableAuth: true,
    keys: { master: 'key-of-the-owner', host: { default: 'key-of-the-scraper' } },
    settings: {
      AGENT__TELEMETRY__PRICE_PER_MILLION_INPUT_TOKENS: '2',
      AGENT__TELEMETRY__PRICE_PER_MILLION_OUTPUT_TOKENS: '8',
      AGENT__CACHE__TTL_SECONDS: '60',
      APP_VERSION: 'abc123',
    },
  });
});
afterAll(() => environment.stop());

async function scrape(): Promise<ReadonlyMap<string, Family>> {
  const response = await fetch(`${environment.url}/metrics`, { headers: KEY });
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
  return parsePrometheus(await response.text());
}

describe('GET /metrics', () => {
  it('agrees with what was sent', async () => {
    const replies = [];
    for (const message of ['one', 'one', 'two']) {
      replies.push(await (await postChat(environment.url, { message }, { headers: KEY })).json());
    }
    const refused = await postChat(environment.url, { message: 7 }, { headers: KEY });
    const streamed = await postChat(
      environment.url,
      { message: 'three', stream: true },
      { headers: KEY },
    );
    const { events } = await readEvents(streamed);
    await fetch(`${environment.url}/health`);
    // A stream is measured when its last byte was handed over, a moment after it was read here.
    await eventually('the stream is measured', async () => {
      return valueOf(await scrape(), REQUESTS, { agent_stream: 'true' }) === 1;
    });

    const families = await scrape();

    expect(refused.status).toBe(400);
    expect(events.at(-1)?.event).toBe('done');
    const chat = { http_route: '/api/chat' };
    expect(valueOf(families, REQUESTS, { ...chat, http_response_status_code: '200' })).toBe(4);
    expect(valueOf(families, REQUESTS, { ...chat, http_response_status_code: '400' })).toBe(1);
    expect(
      valueOf(families, 'agent_request_errors_total', { ...chat, error_type: 'invalid_request' }),
    ).toBe(1);
    const calls = environment.model.calls();
    const throttled = calls.filter(({ httpStatus }) => httpStatus === 429).length;
    expect(throttled).toBeGreaterThan(0);
    expect(valueOf(families, CALLS)).toBe(calls.length);
    expect(valueOf(families, CALLS, { error_type: 'upstream_rate_limited' })).toBe(throttled);
    expect(valueOf(families, 'agent_model_retries_total')).toBe(throttled);
    const outcomes = ['hit', 'miss'].map((outcome) =>
      valueOf(families, 'agent_cache_requests_total', { outcome }),
    );
    expect(outcomes).toEqual([1, 3]);
    expect(valueOf(families, 'agent_rate_limit_decisions_total', { outcome: 'allowed' })).toBe(5);
    expect(valueOf(families, 'agent_circuit_state', { agent_endpoint: 'primary' })).toBe(0);
    expect(valueOf(families, 'agent_build_info', { version: 'abc123' })).toBe(1);
    expect(replies).toHaveLength(3);
  });

  it('counts the tokens and the cost of answers', async () => {
    const before = await scrape();

    const response = await postChat(
      environment.url,
      { message: 'Tokens, please' },
      { headers: KEY },
    );
    const { usage } = (await response.json()) as {
      usage: { inputTokens: number; outputTokens: number };
    };

    const after = await scrape();
    const grown = (name: string, labels = {}): number =>
      valueOf(after, name, labels) - valueOf(before, name, labels);
    const tokens = ['input', 'output'].map((type) =>
      grown('gen_ai_client_token_usage_sum', { gen_ai_token_type: type }),
    );
    expect(tokens).toEqual([usage.inputTokens, usage.outputTokens]);
    expect(grown('agent_model_cost_total')).toBeCloseTo(
      (usage.inputTokens * 2 + usage.outputTokens * 8) / 1_000_000,
    );
  });

  it('shows no metric that the table does not name', async () => {
    const families = await scrape();

    const known = Object.values(METRICS).map(({ name }) => name.replaceAll('.', '_'));
    const unknown = [...families.keys()].filter(
      (name) => !known.some((one) => name.startsWith(one)),
    );
    expect(unknown).toEqual([]);
    expect(families.size).toBeGreaterThan(12);
  });

  it('needs a key', async () => {
    const without = await fetch(`${environment.url}/metrics`);
    const wrong = await fetch(`${environment.url}/metrics`, {
      headers: { 'x-functions-key': 'guess' },
    });

    expect([without.status, wrong.status]).toEqual([401, 401]);
  });
});
