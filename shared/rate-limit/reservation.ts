import { ServiceError } from '../errors.ts';
import type { BucketStore, LimitPolicy, PolicyState, Reservation } from './rate-limiter.ts';

/** What one request takes from one policy. */
export interface BucketRequest {
  readonly policy: LimitPolicy;
  readonly key: string;
  readonly amount: number;
  /** When the bucket is replaced by a new one, if it is. */
  readonly endsAt: number | undefined;
}

interface RefusedRequest {
  readonly request: BucketRequest;
  readonly resetAt: number;
}

export interface TakeAllResult {
  readonly granted: readonly BucketRequest[];
  readonly refused: readonly RefusedRequest[];
  readonly states: readonly PolicyState[];
}

type BucketStores = ReadonlyMap<LimitPolicy, BucketStore | undefined>;

/** Takes each amount from its bucket. Amounts granted beside a refusal stay taken. */
export async function takeAll(
  stores: BucketStores,
  requests: readonly BucketRequest[],
): Promise<TakeAllResult> {
  const results = await Promise.all(
    requests.map(async (request) => {
      const { policy, key, amount, endsAt } = request;
      const result = await storeOf(stores, policy).take(key, amount);
      return { request, ...result, resetAt: endsAt ?? result.resetAt };
    }),
  );
  return {
    granted: results.filter(({ taken }) => taken).map(({ request }) => request),
    refused: results.filter(({ taken }) => !taken),
    states: results.map(({ request, remaining, resetAt }) => ({
      policy: request.policy,
      remaining,
      resetAt,
    })),
  };
}

/** Corrects earlier amounts; negative amounts are refunded. */
export async function adjustAll(
  stores: BucketStores,
  requests: readonly BucketRequest[],
): Promise<void> {
  await Promise.all(
    requests
      .filter(({ amount }) => amount !== 0)
      .map(({ policy, key, amount }) => storeOf(stores, policy).adjust(key, amount)),
  );
}

/** The same request with another amount. */
export function withAmount(request: BucketRequest, amount: number): BucketRequest {
  return { ...request, amount };
}

function storeOf(stores: BucketStores, policy: LimitPolicy): BucketStore {
  const store = stores.get(policy);
  if (store === undefined) {
    throw new TypeError(`Cannot limit by policy "${policy.name}": it must have a store`);
  }
  return store;
}

interface ReservationOptions {
  readonly localRequests: readonly BucketRequest[];
  readonly sharedRequests: readonly BucketRequest[];
  readonly adjustLocal: (requests: readonly BucketRequest[]) => Promise<void>;
  readonly adjustShared: (requests: readonly BucketRequest[]) => Promise<void>;
}

/** Keeps what was taken from each store until the actual usage is known. */
export function createReservation(options: ReservationOptions): Reservation {
  const { localRequests, sharedRequests, adjustLocal, adjustShared } = options;
  let isSettled = false;

  async function settle(used: number): Promise<void> {
    if (isSettled) return;
    isSettled = true;
    await Promise.all([
      adjustLocal(differences(localRequests, used)),
      adjustShared(differences(sharedRequests, used)),
    ]);
  }

  return { settle, refund: () => settle(0) };
}

/** Corrects tokens only: a failed request still counts as a request. */
function differences(requests: readonly BucketRequest[], used: number): BucketRequest[] {
  const tokens = Number.isFinite(used) ? Math.max(0, Math.ceil(used)) : undefined;
  return requests
    .filter(({ policy }) => policy.unit === 'tokens')
    .map((request) => withAmount(request, (tokens ?? request.amount) - request.amount))
    .filter(({ amount }) => amount !== 0);
}

/** The error for the caller: of several refusals, the one that lasts longest. */
export function toRateLimitError(refused: readonly RefusedRequest[], now: number): ServiceError {
  const tooLarge = refused.find(({ request }) => request.amount > request.policy.capacity);
  if (tooLarge !== undefined) return exceedsCapacity(tooLarge);
  const last = refused.reduce((a, b) => (b.resetAt > a.resetAt ? b : a));
  const { code, unit, capacity } = last.request.policy;
  const retryAfterSeconds = Math.max(1, Math.ceil((last.resetAt - now) / 1000));
  const message =
    code === 'budget_exhausted'
      ? `The budget of ${capacity} tokens for this day is used up`
      : `The limit of ${capacity} ${unit} per minute is reached`;
  return new ServiceError(code, message, { retryAfterSeconds });
}

/** Not retryable: the request can never fit into the limit. */
function exceedsCapacity({ request }: RefusedRequest): ServiceError {
  const { capacity, windowSeconds } = request.policy;
  const window = windowSeconds === 60 ? 'minute' : 'day';
  return new ServiceError(
    'context_too_long',
    `Cannot take a request of about ${request.amount} tokens: the limit is ${capacity} per ${window}, ` +
      'the answer included',
  );
}

/** The parts of a request that determine its size. */
interface TokenEstimateInput {
  /** Every text that is sent to the model, including the instructions. */
  readonly texts: readonly string[];
  readonly images?: number | undefined;
  /** The bound on the output that is sent to the model. */
  readonly maxOutputTokens: number;
}

/** English text has about four bytes per token; other scripts use more bytes per character. */
const BYTES_PER_TOKEN = 4;
/** Role and separators of one message. */
const TOKENS_PER_TEXT = 4;

/** About the most that models of OpenAI count for an image in high detail. */
const TOKENS_PER_IMAGE = 1_600;

/** Upper estimate of the tokens of a request, reserved before the call and settled after it. */
export function estimateTokens(request: TokenEstimateInput): number {
  const { texts, images = 0, maxOutputTokens } = request;
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  const input = Math.ceil(bytes / BYTES_PER_TOKEN) + texts.length * TOKENS_PER_TEXT;
  return input + images * TOKENS_PER_IMAGE + maxOutputTokens;
}

/** The tokens that were reserved for one step of a run. */
export interface StepReservation {
  readonly reservation: Reservation;
  readonly tokens: number;
  /** The input alone. */
  readonly inputTokens: number;
}

/** Reserves the tokens that a step of this size may use. */
export async function reserveTokens(
  size: TokenEstimateInput,
  reserve: (tokens: number) => Promise<Reservation>,
): Promise<StepReservation> {
  const tokens = estimateTokens(size);
  const reservation = await reserve(tokens);
  return { reservation, tokens, inputTokens: tokens - size.maxOutputTokens };
}

/** Tokens that a model counted or, for a call that broke off, that we estimate. */
interface StepUsage {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly totalTokens: number;
}

/** The token usage of one run against its reservations. */
export interface UsageMeter {
  addStep(step: StepReservation): void;
  /** Adds the usage of a complete step. */
  addUsage(usage: StepUsage): void;
  /** Adds the estimated usage of a model call that was sent and is not complete. */
  addPartialUsage(usage: StepUsage): void;
  /** Records the usage of all steps of a complete run. */
  finish(usage: StepUsage): void;
  /** The response came from the cache: nothing is charged. */
  markCached(): void;
  /** Corrects the reservations to the usage. Never rejects. */
  settle(): Promise<void>;
}

/**
 * What was sent to a model is charged, whatever becomes of the run: a client that disconnects pays
 * for the input and the output so far. A run that sent nothing is not charged.
 */
export function createUsageMeter(first: StepReservation): UsageMeter {
  const steps = [first];
  let completeTokens = 0;
  let partialTokens = 0;
  let isCached = false;
  return {
    addStep: (step) => void steps.push(step),
    addUsage({ totalTokens }) {
      completeTokens += totalTokens;
    },
    addPartialUsage({ inputTokens, outputTokens }) {
      // Our estimate also fits scripts with few characters to a token.
      partialTokens += Math.max(inputTokens, steps.at(-1)?.inputTokens ?? 0) + outputTokens;
    },
    finish({ totalTokens }) {
      completeTokens = totalTokens;
    },
    markCached() {
      isCached = true;
    },
    settle: () => settleAll(steps, isCached ? 0 : completeTokens + partialTokens),
  };
}

/** Each reservation takes its share of the usage, and the last one what is above all of them. */
async function settleAll(steps: readonly StepReservation[], usedTokens: number): Promise<void> {
  let remaining = usedTokens;
  const settlements = steps.map(({ reservation, tokens }, index) => {
    const share = index === steps.length - 1 ? remaining : Math.min(tokens, remaining);
    remaining -= share;
    return reservation.settle(share);
  });
  await Promise.all(settlements);
}
