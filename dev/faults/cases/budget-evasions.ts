import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { custom, type FaultCase, type Finding, type Mode } from '../fault-case.ts';
import type { FaultEnvironment } from '../fault-environment.ts';
import { newMarker } from '../run-case.ts';
import { post, sendRequest, type ClientResult } from '../send-request.ts';
import { countOutcomes } from '../steady-load.ts';

const LEAVING_CALLS = 20;
const LEAVING_TOKENS = 3_000;
const BUDGET_TOKENS = 1_000_000;
/** A busy machine may need longer. */
const WAIT_MS = 8_000;
const TOKENS_PER_MINUTE = 100_000;
const NO_TOKEN_LIMIT = { AGENT__LIMITS__TOKENS_PER_MINUTE: '0' };
const CHATS_AT_ONCE = 60;
/** About 5,000 tokens, which the development model repeats in its answer. */
const LONG_MESSAGE_CHARS = 20_000;

/** T4 to T6: calls that try to use more than their caller is charged for. */
export const budgetEvasions: readonly FaultCase[] = [
  custom({
    id: 'T4',
    injected: `${LEAVING_CALLS} calls of ${LEAVING_TOKENS} tokens whose client leaves`,
    promised: 'their input counts in the budget, the token metrics and the cost',
    own: {
      AGENT__LIMITS__TOKENS_PER_DAY: String(BUDGET_TOKENS),
      AGENT__TELEMETRY__PRICE_PER_MILLION_INPUT_TOKENS: '1000000',
    },
    run: abortCalls,
  }),
  custom({
    id: 'T5',
    injected: `${CHATS_AT_ONCE} long chats at once without a bound on the answer`,
    promised: `at most ${TOKENS_PER_MINUTE} tokens are used`,
    modes: ['json'],
    own: { AGENT__LIMITS__TOKENS_PER_MINUTE: String(TOKENS_PER_MINUTE) },
    run: sendUnboundedChats,
  }),
  custom({
    id: 'T6',
    injected: 'one request above the capacity of the endpoint',
    promised: '413 before any call',
    modes: ['json'],
    own: { ...NO_TOKEN_LIMIT, AGENT__MODEL__CAPACITY_TOKENS_PER_MINUTE: '1000' },
    run: sendOversizedChat,
  }),
];

async function abortCalls(environment: FaultEnvironment, mode: Mode): Promise<Finding> {
  const marker = newMarker();
  const script = mode === 'stream' ? 'dev/long-100000' : 'dev/slow-500000';
  const message = `${script} ${marker} ${'word '.repeat((LEAVING_TOKENS * 4) / 5)}`;
  for (let call = 0; call < LEAVING_CALLS; call += 1) {
    await abortCall(environment, { message, mode });
  }
  await until(() => environment.callsWith(marker).every(({ status }) => status !== 'running'));
  const answer = await sendRequest(environment.url, { message: 'dev/instant', mode: 'json' });
  const metrics = await (await fetch(`${environment.url}/metrics`)).text();
  const left = Number(/"tpd";r=(\d+)/.exec(answer.raw)?.[1]);
  const found = {
    budget: BUDGET_TOKENS - left,
    metric: sumOf(metrics, /^gen_ai_client_token_usage_sum\{.*input.*\} (\S+)$/gm),
    cost: sumOf(metrics, /^agent_model_cost\w*\{.*\} (\S+)$/gm),
  };
  const calls = environment.callsWith(marker).length;
  const least = calls * LEAVING_TOKENS;
  return {
    happened: `${calls} calls left; budget ${found.budget}, metric ${found.metric}, cost ${found.cost}`,
    calls,
    received: [],
    problems: [
      ...(calls === LEAVING_CALLS ? [] : [`${calls} calls instead of ${LEAVING_CALLS}`]),
      ...Object.entries(found)
        .filter(([, tokens]) => !(tokens >= least))
        .map(([where, tokens]) => `${tokens} tokens in the ${where} instead of ${least}`),
    ],
  };
}

/** Waits until the call has reached the model, and for its first text where it streams. */
async function abortCall(
  environment: FaultEnvironment,
  { message, mode }: { readonly message: string; readonly mode: Mode },
): Promise<void> {
  const client = new AbortController();
  const callsBefore = environment.callsWith(message).length;
  const pending = post(environment.url, { message, mode, signal: client.signal });
  if (mode === 'stream') await (await pending).body?.getReader().read();
  else pending.catch(() => undefined);
  await until(() => environment.callsWith(message).length > callsBefore);
  client.abort();
}

function sumOf(metrics: string, line: RegExp): number {
  return metrics.matchAll(line).reduce((sum, [, value]) => sum + Number(value), 0);
}

async function until(isTrue: () => boolean): Promise<void> {
  const endAt = performance.now() + WAIT_MS;
  while (!isTrue() && performance.now() < endAt) await sleep(5);
}

async function sendUnboundedChats(environment: FaultEnvironment): Promise<Finding> {
  const message = `${newMarker()} ${'word '.repeat(LONG_MESSAGE_CHARS / 5)}`;
  const results = await Promise.all(
    Array.from({ length: CHATS_AT_ONCE }, () =>
      sendRequest(environment.url, { message, mode: 'json' }),
    ),
  );
  const used = results.map(usedTokens).reduce((sum, tokens) => sum + tokens, 0);
  const served = results.filter(({ outcome }) => outcome === 'answer').length;
  return {
    happened: `${countOutcomes(results)}; ${used} tokens used`,
    calls: served,
    received: [],
    problems: [
      ...(served > 0 ? [] : ['no chat was served']),
      ...(used <= TOKENS_PER_MINUTE ? [] : [`${used} of ${TOKENS_PER_MINUTE} tokens were used`]),
    ],
  };
}

const usageSchema = z.object({ usage: z.object({ totalTokens: z.number() }) });

function usedTokens({ outcome, raw }: ClientResult): number {
  if (outcome !== 'answer') return 0;
  return usageSchema.parse(JSON.parse(raw.slice(raw.indexOf('\n{')))).usage.totalTokens;
}

async function sendOversizedChat(environment: FaultEnvironment): Promise<Finding> {
  const message = `${newMarker()} ${'x'.repeat(LONG_MESSAGE_CHARS)}`;
  const { status } = await post(environment.url, { message, mode: 'json' });
  const calls = environment.callsWith(message).length;
  const problems = status === 413 && calls === 0 ? [] : [`${status} after ${calls} calls`];
  return { happened: `${status} after ${calls} calls`, calls, received: [], problems };
}
