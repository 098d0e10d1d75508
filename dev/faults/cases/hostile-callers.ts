import { setTimeout as sleep } from 'node:timers/promises';
import { custom, type FaultFamily, type Finding } from '../fault-case.ts';
import type { FaultEnvironment } from '../fault-environment.ts';
import { budgetEvasions } from './budget-evasions.ts';
import { newMarker } from '../run-case.ts';
import { post } from '../send-request.ts';
import { countOutcomes, type LoadResult, percentile, sendSteadily } from '../steady-load.ts';
import { WORKER_REPORTS } from '../worker-report.ts';

const DRIPS = 40;
const DRIP_MS = 100;
/** Generous for a busy machine; the limits of the case end a body after half a second. */
const DRIP_ENDS_WITHIN_MS = 8_000;
/** An upload in drips never reaches storage: nothing listens there. */
const DEAD_STORAGE =
  'DefaultEndpointsProtocol=http;AccountName=a;AccountKey=YQ==;BlobEndpoint=http://127.0.0.1:1/a;QueueEndpoint=http://127.0.0.1:1/a;';
const UNREAD_STREAMS = 300;
const MAX_OPEN = 8;
/** For one turn of the event loop, in ms of processor time: what `/health` may take. */
const MAX_TURN_MS = 100;
const OPEN_EVERY_MS = 5;
/** The limit of the case is half a second; a busy machine may need longer. */
const CUT_WITHIN_MS = 8_000;
const STREAM_BYTES = 50_000_000;
/** Below this value the speed of the machine decides, not the callers. */
const LEAST_P99_MS = 1_500;
/** T2 to T7: callers that try to block the service for others. */
export const hostileCallers: FaultFamily = {
  name: 'hostile callers',
  settings: {},
  lanes: 1,
  cases: [
    ...budgetEvasions,
    custom({
      id: 'T2',
      injected: `${DRIPS} uploads and chats of one byte every ${DRIP_MS} ms`,
      promised: '408 within the limits; others are not affected',
      modes: ['json'],
      own: {
        AzureWebJobsStorage: DEAD_STORAGE,
        // The quota of an upload would need the storage before the body.
        AGENT__BATCH__MAX_STORED_BYTES: '0',
        AGENT__LIMITS__BODY_STALL_MS: '500',
        AGENT__LIMITS__UPLOAD_DEADLINE_MS: '3000',
        AGENT__LIMITS__BODY_DEADLINE_MS: '3000',
      },
      run: sendDrips,
    }),
    custom({
      id: 'T7',
      injected: `${UNREAD_STREAMS} unread streams from six /64 networks`,
      promised: `at most ${MAX_OPEN} are open; others within twice their quiet p99`,
      modes: ['stream'],
      own: {
        ...WORKER_REPORTS,
        AGENT__LIMITS__MAX_OPEN_CALLS_PER_CALLER: String(MAX_OPEN),
        AGENT__LIMITS__QUEUE_TIMEOUT_MS: '1000',
        // The streams stay open to the end of the case.
        AGENT__MODEL__IDLE_TIMEOUT_MS: '60000',
        AGENT__MODEL__ATTEMPT_TIMEOUT_MS: '60000',
      },
      run: openUnreadStreams,
    }),
    custom({
      id: 'T7',
      injected: 'a stream of 50 MB that its client does not read',
      promised: 'cut after the time of a slow reader',
      modes: ['stream'],
      own: { AGENT__LIMITS__SLOW_READER_TIMEOUT_MS: '500' },
      run: openUnreadStream,
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
    received: [],
    problems: [
      ...(refused === DRIPS ? [] : [`drips got ${[...new Set(statuses)].join(', ')}`]),
      ...(beside.every(({ outcome }) => outcome === 'answer') ? [] : [countOutcomes(beside)]),
    ],
  };
}

const HONEST_CALLERS = 4;
const HONEST = { perSecond: 20, seconds: 2 } as const;

function sendHonestChats(environment: FaultEnvironment): Promise<LoadResult[]> {
  return sendSteadily(environment.url, {
    ...HONEST,
    request: (number) => ({
      message: `dev/instant ${newMarker()}`,
      mode: 'json',
      address: `192.0.2.${number % HONEST_CALLERS}`,
    }),
  });
}

function p99Of(results: readonly LoadResult[]): number {
  return percentile(
    results.map(({ ms }) => ms),
    0.99,
  );
}

function describeLoad(results: readonly LoadResult[]): string {
  return `p99 ${p99Of(results).toFixed(0)} ms`;
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

async function openUnreadStreams(environment: FaultEnvironment): Promise<Finding> {
  const quiet = await sendHonestChats(environment);
  await environment.reportWorker();
  const marker = newMarker();
  const hostile = new AbortController();
  const opening = openSteadily(UNREAD_STREAMS, (number) =>
    post(environment.url, {
      message: `dev/stall-2 ${marker}`,
      mode: 'stream',
      signal: hostile.signal,
      address: `2001:db8:0:${number % 6}::1`,
    }),
  );
  const rounds = [await sendHonestChats(environment), await sendHonestChats(environment)];
  // A response that nothing refers to is closed with the next garbage collection.
  const responses = await opening;
  // A busy machine can only make a round worse, so the better one tells more.
  const [beside = []] = rounds.toSorted((left, right) => p99Of(left) - p99Of(right));
  const calls = environment.callsWith(marker);
  const turnMs = (await environment.reportWorker())?.longestTurnMs ?? 0;
  hostile.abort();
  const allowedMs = Math.max(2 * p99Of(quiet), LEAST_P99_MS);
  return {
    happened: `${countStatuses(responses)}; ${calls.length} open; honest: ${describeLoad(quiet)} quiet, ${describeLoad(beside)} beside; longest turn ${turnMs} ms`,
    calls: calls.length,
    received: [],
    problems: [
      ...(calls.length <= MAX_OPEN ? [] : [`${calls.length} streams of one caller were open`]),
      ...(turnMs < MAX_TURN_MS ? [] : [`a turn of the event loop took ${turnMs} ms`]),
      ...(rounds.flat().every(({ outcome }) => outcome === 'answer')
        ? []
        : [countOutcomes(rounds.flat())]),
      ...(p99Of(beside) <= allowedMs ? [] : ['the others waited for the unread streams']),
    ],
  };
}

async function openUnreadStream(environment: FaultEnvironment): Promise<Finding> {
  const marker = newMarker();
  const response = await post(environment.url, {
    message: `dev/bytes-${STREAM_BYTES} ${marker}`,
    mode: 'stream',
  });
  const startedAt = performance.now();
  const isCut = (): boolean =>
    environment.log.some((line) => line.includes('"outcome":"slow_reader"'));
  while (!isCut() && performance.now() - startedAt < CUT_WITHIN_MS) await sleep(20);
  const ms = Math.round(performance.now() - startedAt);
  const text = await response.text().catch(() => 'connection closed');
  const [call] = environment.callsWith(marker);
  return {
    happened: `${isCut() ? 'cut' : 'still open'} after ${ms} ms, upstream call ${call?.status}`,
    calls: 1,
    received: [],
    problems: [
      ...(isCut() ? [] : ['the stream was not cut']),
      ...(call?.status === 'aborted' ? [] : [`the upstream call is ${call?.status}`]),
      ...(text.includes('event: done') ? ['the stream looks complete'] : []),
    ],
  };
}

/** Opens one request after the other without waiting for them: a burst would fill the accept queue. */
async function openSteadily<T>(
  count: number,
  open: (number: number) => Promise<T>,
): Promise<readonly T[]> {
  const opened: Promise<T>[] = [];
  for (let number = 0; number < count; number += 1) {
    opened.push(open(number));
    await sleep(OPEN_EVERY_MS);
  }
  return Promise.all(opened);
}

function countStatuses(responses: readonly Response[]): string {
  const statuses = responses.map(({ status }) => status);
  const kinds = [...new Set(statuses)].toSorted((left, right) => left - right);
  return kinds
    .map((kind) => `${statuses.filter((status) => status === kind).length} x ${kind}`)
    .join(', ');
}
