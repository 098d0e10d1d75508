import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { ServiceError } from '../errors.ts';
import type { KeyLease, IdempotencyStore, StoredAnswer } from '../idempotency/idempotency-store.ts';
import { startRecording } from './answer-recording.ts';
import type { CallerContext } from './request-context.ts';
import { type PlainResponse, withHeaders } from './responses.ts';
import { raceTimeout } from '../resilience/abort.ts';

/** What it takes to answer a request with an `Idempotency-Key` once. */
export interface IdempotencyDependencies {
  /** Undefined where nothing can be stored: the header has no effect then. */
  readonly idempotency?: (() => Promise<IdempotencyStore>) | undefined;
}

/** Printable ASCII, as a header has it. */
const KEY = /^[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?$/;
/** A short answer is worth waiting for; after it a client does better to come back. */
const WAIT_MS = 2_000;
/** Between two looks at a key that another instance has. */
const POLL_MS = 250;
const RETRY_AFTER_SECONDS = 1;

/** The requests of this process that have a key now, so that others wait without polling. */
const running = new Map<string, RunningRequest>();

interface RunningRequest {
  readonly fingerprint: string;
  /** Undefined if there is no answer to send again. */
  readonly answer: Promise<StoredAnswer | undefined>;
}

/**
 * Handles a POST with an `Idempotency-Key` once: the same key with the same request gets the stored
 * answer for 24 hours. Only answers with status 2xx are stored, so that a failed request can be
 * repeated. A file upload claims its key itself, because its body cannot be read twice.
 * @throws ServiceError idempotency_in_progress, idempotency_mismatch or invalid_request
 */
export async function handleOnce<Context extends CallerContext>(
  context: Context,
  { idempotency }: IdempotencyDependencies,
  handle: (context: Context) => Promise<PlainResponse>,
): Promise<PlainResponse> {
  const key = keyOf(context);
  if (key === undefined || idempotency === undefined || isForm(context)) return handle(context);
  const body = hasBody(context) ? await context.readJson() : undefined;
  await context.countRequest();
  const fingerprint = fingerprintOf(context, JSON.stringify(body) ?? '');
  const owner = context.callerId;
  const store = await idempotency();
  const claimed = await claimKey(store, { owner, key, fingerprint, context });
  if ('answer' in claimed) return toReplay(claimed.answer);
  const recording = startRecording(claimed.claim, context.telemetry);
  claimed.settle(recording.answer);
  try {
    const response = await handle({
      ...context,
      readJson: async () => body,
      startStream: recording.watch(context.startStream),
    });
    return await recording.record(response, context.clientDisconnected);
  } catch (error) {
    await recording.abandon();
    throw error;
  }
}

/**
 * The key of a request, if it has one.
 * @throws ServiceError invalid_request if it is longer than 255 characters or not printable ASCII
 */
function keyOf({ request, header }: CallerContext): string | undefined {
  const key = header('idempotency-key');
  if (key === undefined || request.method !== 'POST') return undefined;
  if (KEY.test(key)) return key;
  throw new ServiceError(
    'invalid_request',
    'Cannot accept the request: "Idempotency-Key" must have 1 to 255 printable ASCII characters',
    { param: 'Idempotency-Key' },
  );
}

function isForm({ header }: CallerContext): boolean {
  return /^multipart\//i.test(header('content-type') ?? '');
}

function hasBody({ header }: CallerContext): boolean {
  return Number(header('content-length') ?? 0) > 0 || header('transfer-encoding') !== undefined;
}

/** What two requests with one key have in common: the route and the body. */
export function fingerprintOf({ request }: CallerContext, body: string): string {
  const { pathname } = new URL(request.url);
  return createHash('sha256').update(`${pathname}\n${body}`).digest('hex');
}

interface KeyRequest {
  readonly owner: string;
  readonly key: string;
  readonly fingerprint: string;
  readonly context: CallerContext;
}

type ClaimResult =
  | { readonly answer: StoredAnswer }
  | {
      readonly claim: KeyLease;
      /** Call it with the answer that waiting requests get. */
      readonly settle: (answer: Promise<StoredAnswer | undefined>) => void;
    };

/**
 * Claims the key, or waits a short time for the answer of the request that has it.
 * @throws ServiceError idempotency_in_progress or idempotency_mismatch
 */
async function claimKey(store: IdempotencyStore, request: KeyRequest): Promise<ClaimResult> {
  const { owner, key, fingerprint, context } = request;
  const scope = `${owner}\n${key}`;
  const until = performance.now() + WAIT_MS;
  for (;;) {
    const other = running.get(scope);
    if (other === undefined) {
      const found = await claimInProcess(store, { ...request, scope });
      if (found !== 'busy') return found;
      if (performance.now() >= until) throw inProgress();
      const signal = context.clientDisconnected;
      await delay(POLL_MS, undefined, { signal });
    } else {
      if (other.fingerprint !== fingerprint) throw mismatch();
      const answer = await raceTimeout(other.answer, until - performance.now());
      if (answer === 'timeout') throw inProgress();
      if (answer !== undefined) return { answer };
    }
  }
}

async function claimInProcess(
  store: IdempotencyStore,
  { owner, key, fingerprint, scope }: KeyRequest & { readonly scope: string },
): Promise<ClaimResult | 'busy'> {
  const { promise, resolve } = Promise.withResolvers<StoredAnswer | undefined>();
  running.set(scope, { fingerprint, answer: promise });
  function settle(answer: Promise<StoredAnswer | undefined>): void {
    void answer
      .catch(() => undefined)
      .then((value) => {
        running.delete(scope);
        resolve(value);
      });
  }
  try {
    const claim = await store.claim(owner, key);
    if (claim === 'busy') {
      settle(Promise.resolve(undefined));
      const stored = await store.find(owner, key);
      if (stored !== undefined && stored.fingerprint !== fingerprint) throw mismatch();
      return stored?.answer === undefined ? 'busy' : { answer: stored.answer };
    }
    if (claim.answered === undefined) {
      await claim.start(fingerprint);
      return { claim, settle };
    }
    await claim.release();
    const { answered } = claim;
    const isEqual = answered.fingerprint === fingerprint;
    settle(Promise.resolve(isEqual ? answered.answer : undefined));
    if (!isEqual) throw mismatch();
    return { answer: answered.answer };
  } catch (error) {
    settle(Promise.resolve(undefined));
    throw error;
  }
}

/**
 * Claims the key of a file upload, before its body is known. Undefined without a key.
 * @throws ServiceError idempotency_in_progress
 */
export async function claimUpload(
  context: CallerContext,
  { idempotency }: IdempotencyDependencies,
): Promise<KeyLease | undefined> {
  const key = keyOf(context);
  if (key === undefined || idempotency === undefined) return undefined;
  const claim = await (await idempotency()).claim(context.callerId, key);
  if (claim === 'busy') throw inProgress();
  return claim;
}

/**
 * The stored answer for a request with this fingerprint.
 * @throws ServiceError idempotency_mismatch
 */
export function replayOf(
  answered: { readonly fingerprint: string; readonly answer: StoredAnswer },
  fingerprint: string,
): PlainResponse {
  if (answered.fingerprint !== fingerprint) throw mismatch();
  return toReplay(answered.answer);
}

/** A stored answer as a response. */
function toReplay({ status, headers, body }: StoredAnswer): PlainResponse {
  return withHeaders({ status, headers, body }, { 'idempotent-replayed': 'true' });
}

function inProgress(): ServiceError {
  return new ServiceError(
    'idempotency_in_progress',
    'The first request with this Idempotency-Key is not answered yet',
    { retryAfterSeconds: RETRY_AFTER_SECONDS },
  );
}

function mismatch(): ServiceError {
  return new ServiceError(
    'idempotency_mismatch',
    'Cannot use the Idempotency-Key again: the request must be the same as the first one',
    { param: 'Idempotency-Key' },
  );
}
