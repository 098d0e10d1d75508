import type { HttpHandler } from '@azure/functions';
import { type Caller, type CallerEvidence, hashIdentifier } from '../callers/caller.ts';
import type { Clock } from '../clock.ts';
import { ServiceError } from '../errors.ts';
import { type HandlerOptions, publicHandler } from './handler.ts';
import { handleOnce, type IdempotencyDependencies } from './idempotency.ts';
import type {
  CallerContext,
  RequestContext,
  MeteredContext,
  HandlerDependencies,
} from './request-context.ts';
import type { PlainResponse } from './responses.ts';
import {
  type LimitMode,
  type RateLimiter,
  rateLimitHeaders,
  type Reservation,
} from '../rate-limit/rate-limiter.ts';
import type { OpenCalls } from '../rate-limit/open-calls.ts';

/** What it takes to identify callers and to limit what each may use. */
export interface AdmissionDependencies extends HandlerDependencies, IdempotencyDependencies {
  /** @throws ServiceError unauthorized, or config_unavailable while the keys cannot be read */
  readonly identify: (evidence: CallerEvidence) => Caller;
  readonly limits: CallerLimits;
}

export type CallerHandler<Dependencies> = (
  context: CallerContext,
  dependencies: Dependencies,
) => Promise<PlainResponse>;
export type MeteredHandler<Dependencies> = (
  context: MeteredContext,
  dependencies: Dependencies,
) => Promise<PlainResponse>;

/**
 * A route for identified callers: the request takes its share of the caller's limits before the
 * handler does any work. Every route uses it unless there is a reason against.
 */
export function authenticatedHandler<Dependencies extends AdmissionDependencies>(
  getService: () => Promise<Dependencies>,
  handle: CallerHandler<Dependencies>,
  options: HandlerOptions = {},
): HttpHandler {
  async function admitAndHandle(
    context: RequestContext,
    dependencies: Dependencies,
  ): Promise<PlainResponse> {
    const admission = admitRequest(context, { dependencies, opensAtOnce: true });
    await admission.openIfVerified();
    if (BODILESS_METHODS.has(context.request.method)) await admission.readUnusedBody();
    if (!hasIdempotencyKey(context)) return handle(admission, dependencies);
    return handleOnce<CallerContext>(admission, dependencies, (one) => handle(one, dependencies));
  }
  return publicHandler(getService, admitAndHandle, options);
}

/**
 * A route that runs the agent: it counts the request and reserves its tokens together, once it has
 * read the input. A request that fails before that is counted without tokens.
 */
export function meteredHandler<Dependencies extends AdmissionDependencies>(
  getService: () => Promise<Dependencies>,
  handle: MeteredHandler<Dependencies>,
  options: HandlerOptions = {},
): HttpHandler {
  async function admitAndHandle(
    context: RequestContext,
    dependencies: Dependencies,
  ): Promise<PlainResponse> {
    const admission = admitRequest(context, { dependencies, opensAtOnce: false });
    try {
      if (!hasIdempotencyKey(context)) return await handle(admission, dependencies);
      return await handleOnce<MeteredContext>(admission, dependencies, (one) =>
        handle(one, dependencies),
      );
    } finally {
      // A rate-limit error takes precedence over a validation error.
      await admission.countIfVerified();
    }
  }
  return publicHandler(getService, admitAndHandle, options);
}

/** Their routes have no use for a body. */
const BODILESS_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE']);
/** Counts requests whose body does not show who sends it. Well-formed requests are none of them. */
const UNVERIFIED_CALLER = hashIdentifier('address:unverified');

function hasIdempotencyKey({ header }: RequestContext): boolean {
  return header('idempotency-key') !== undefined;
}

interface AdmittedContext extends MeteredContext {
  /**
   * Counts a request with a body that its route does not read, which can be done only when the body
   * is known not to forge its sender. One that cannot be read counts for a caller of its own.
   */
  readonly readUnusedBody: () => Promise<void>;
  /** Counts the request if its caller is verified and it is not counted yet. */
  readonly countIfVerified: () => Promise<void>;
  /** Also opens the call: it holds a slot of the caller until the response has ended. */
  readonly openIfVerified: () => Promise<void>;
}

interface AdmissionOptions {
  readonly dependencies: AdmissionDependencies;
  /** Counts and opens the request as soon as its caller is verified. */
  readonly opensAtOnce: boolean;
}

/**
 * Identifies the caller before the body is read, so that a request without a valid key causes no
 * work. The client address is not a header of the connection, which holds the platform's own proxy;
 * it comes from the trigger metadata, where a JSON body can replace it. Reading the body refuses
 * such a body. Until then the caller is unverified: nothing is counted, and its data is out of reach.
 */
function admitRequest(
  context: RequestContext,
  { dependencies, opensAtOnce }: AdmissionOptions,
): AdmittedContext {
  const { request, header, audit } = context;
  audit.require();
  const forwardedFor = request.headers.get('x-forwarded-for') ?? undefined;
  const caller = dependencies.identify({ header, forwardedFor });
  const callerId = hashIdentifier(caller.id);
  const reservations = createRequestReservations(dependencies.limits, { callerId, context });
  let isCallerVerified = caller.kind !== 'address' || Number(header('content-length') ?? 0) === 0;

  let body: Promise<unknown> | undefined;
  if (isCallerVerified) audit.identify(callerId);

  async function countIfVerified(): Promise<void> {
    if (isCallerVerified && !reservations.isCounted()) await reservations.count();
  }
  async function openIfVerified(): Promise<void> {
    if (isCallerVerified && !reservations.isCounted()) await reservations.reserve(0);
  }
  async function verifyCaller(): Promise<void> {
    isCallerVerified = true;
    audit.identify(callerId);
    if (opensAtOnce) await openIfVerified();
  }
  async function readJson(): Promise<unknown> {
    // A body can be read once, and its route may read it again.
    body ??= context.readJson();
    const value = await body;
    await verifyCaller();
    return value;
  }
  async function readUnusedBody(): Promise<void> {
    if (isCallerVerified) return;
    try {
      await readJson();
    } catch (error) {
      if (!isCallerVerified) await countUnverified(dependencies.limits);
      throw error;
    }
  }
  return {
    ...context,
    readUnusedBody,
    get callerId() {
      if (!isCallerVerified) throw unverifiedCaller();
      return callerId;
    },
    reserve: (tokens) => reservations.reserve(tokens),
    reserveMore: (tokens) => reservations.reserveMore(tokens),
    countIfVerified,
    countRequest: countIfVerified,
    openIfVerified,
    markNonJsonBody: verifyCaller,
    readJson,
  };
}

/** @throws ServiceError rate_limited */
async function countUnverified({ limiter }: CallerLimits): Promise<void> {
  const result = await limiter.reserve({ callerId: UNVERIFIED_CALLER, tokens: 0 });
  if (!result.allowed) throw result.error;
}

/** The route ignores its body, so the body was not checked and the caller is not verified. */
function unverifiedCaller(): ServiceError {
  return new ServiceError('invalid_request', 'Cannot accept a body here: it must be left out');
}

/** The limits that all routes share. */
export interface CallerLimits {
  readonly limiter: RateLimiter;
  readonly openCalls: OpenCalls;
  readonly mode: LimitMode;
  readonly clock: Clock;
}

/** The share of the caller's limits that one request takes. */
interface RequestReservations {
  /**
   * Counts the request, and adds the remaining limits to the response headers.
   * @throws ServiceError rate_limited
   */
  count(): Promise<void>;
  /**
   * Counts the request, reserves the tokens, and waits for a slot among the open calls.
   * @throws ServiceError rate_limited, budget_exhausted, context_too_long or overloaded
   */
  reserve(tokens: number): Promise<Reservation>;
  /** @throws ServiceError rate_limited, budget_exhausted or context_too_long */
  reserveMore(tokens: number): Promise<Reservation>;
  isCounted(): boolean;
}

function createRequestReservations(
  { limiter, openCalls, mode, clock }: CallerLimits,
  { callerId, context }: { readonly callerId: string; readonly context: RequestContext },
): RequestReservations {
  let counted = false;

  async function take(tokens: number): Promise<Reservation> {
    const isCounted = !counted;
    counted = true;
    const result = await limiter.reserve({ callerId, tokens, isCounted });
    context.addHeaders(rateLimitHeaders(result, { mode, now: clock.now() }));
    if (!result.allowed) throw result.error;
    return result.reservation;
  }
  return {
    async count() {
      await take(0);
    },
    async reserve(tokens) {
      const reservation = await take(tokens);
      if (mode === 'observe') return reservation;
      try {
        context.onEnd(await openCalls.acquire(callerId, context.clientDisconnected));
      } catch (error) {
        await reservation.refund();
        throw error;
      }
      return reservation;
    },
    reserveMore: take,
    isCounted: () => counted,
  };
}
