import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { acted, type FaultFamily, type Finding } from '../fault-case.ts';
import type { FaultEnvironment } from '../fault-environment.ts';
import { newMarker } from '../run-case.ts';
import { sendRequest, type ClientResult } from '../send-request.ts';
import { countOutcomes, type LoadResult, percentile, sendSteadily } from '../steady-load.ts';

const DRIPS = 40;
const DRIP_MS = 100;
/** Generous for a busy machine; the limits of the case end a body after half a second. */
const DRIP_ENDS_WITHIN_MS = 8_000;
/** An upload in drips never reaches storage: nothing listens there. */
const DEAD_STORAGE =
  'DefaultEndpointsProtocol=http;AccountName=a;AccountKey=YQ==;BlobEndpoint=http://127.0.0.1:1/a;QueueEndpoint=http://127.0.0.1:1/a;';
const TOKENS_PER_MINUTE = 100_000;
const CHATS_AT_ONCE = 60;
/** About 5,000 tokens, which the development model repeats in its answer. */
const LONG_MESSAGE_CHARS = 20_000;

/** T2 to T7: callers that try to take the service from the others. */
export const hostileCallers: FaultFamily = {
  name: 'hostile callers',
  settings: {},
  lanes: 1,
  cases: [
    acted({
      id: 'T2',
      injected: `${DRIPS} uploads and chats of one byte every ${DRIP_MS} ms`,
      promised: '408 within the limits; others are served as ever',
      modes: ['json'],
      own: {
        AzureWebJobsStorage: DEAD_STORAGE,
        AGENT__LIMITS__BODY_STALL_MS: '500',
        AGENT__LIMITS__UPLOAD_DEADLINE_MS: '3000',
        AGENT__LIMITS__BODY_DEADLINE_MS: '3000',
      },
      act: sendDrips,
    }),
    acted({
      id: 'T5',
      injected: `${CHATS_AT_ONCE} long chats at once without a bound on the answer`,
      promised: `at most ${TOKENS_PER_MINUTE} tokens are used`,
      modes: ['json'],
      own: { AGENT__LIMITS__TOKENS_PER_MINUTE: String(TOKENS_PER_MINUTE) },
      act: sendUnboundedChats,
    }),
  ],
};

async function sendDrips(environment: FaultEnvironment): Promise<Finding> {
  const quiet = await sendHonestChats(environment);
  const drips = Array.from({ length: DRIPS }, (_, number) =>
    sendDrip(environment.url, number % 2 === 0 ? UPLOAD : CHAT),
  );
  const beside = await sendHonestChats(environment);
  const statuses = await Promise.all(drips);
  const refused = statuses.filter((status) => status === 408).length;
  return {
    happened: `${refused} of ${DRIPS} drips got 408; honest: ${describeLoad(quiet)} quiet, ${describeLoad(beside)} beside`,
    calls: quiet.length + beside.length,
    told: [],
    problems: [
      ...(refused === DRIPS ? [] : [`drips got ${[...new Set(statuses)].join(', ')}`]),
      ...(beside.every(({ outcome }) => outcome === 'answer') ? [] : [countOutcomes(beside)]),
    ],
  };
}

const HONEST = { perSecond: 20, seconds: 2 } as const;

function sendHonestChats(environment: FaultEnvironment): Promise<LoadResult[]> {
  return sendSteadily(environment.url, {
    ...HONEST,
    question: () => ({ message: `dev/instant ${newMarker()}`, mode: 'json' }),
  });
}

function describeLoad(results: readonly LoadResult[]): string {
  const p99 = percentile(
    results.map(({ ms }) => ms),
    0.99,
  );
  return `p99 ${p99.toFixed(0)} ms`;
}

interface Drip {
  readonly path: string;
  readonly contentType: string;
  readonly start: string;
}

const UPLOAD: Drip = {
  path: '/v1/files',
  contentType: 'multipart/form-data; boundary=b',
  start: '--b\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n',
};
const CHAT: Drip = { path: '/api/chat', contentType: 'application/json', start: '{"message":"' };

/** Sends a body without an end, one byte at a time. Returns the status, 0 without a response. */
async function sendDrip(url: string, { path, contentType, start }: Drip): Promise<number> {
  const over = new AbortController();
  const timer = setTimeout(() => over.abort(), DRIP_ENDS_WITHIN_MS);
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(encoder.encode(start)),
    async pull(controller) {
      await sleep(DRIP_MS);
      if (!over.signal.aborted) controller.enqueue(encoder.encode('x'));
    },
  });
  try {
    const headers = { 'content-type': contentType };
    const options = { method: 'POST', headers, body, duplex: 'half', signal: over.signal } as const;
    return (await fetch(url + path, options)).status;
  } catch {
    return 0;
  } finally {
    clearTimeout(timer);
    over.abort();
  }
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
    told: [],
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
