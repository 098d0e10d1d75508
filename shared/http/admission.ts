import type { HttpHandler } from '@azure/functions';
import { type Caller, type CallerEvidence, hashIdentifier } from '../callers/caller.ts';
import type { Clock } from '../clock.ts';
import { ServiceError } from '../errors.ts';
import { publicHandler } from './handler.ts';
import type {
  CallerContext,
  RequestContext,
  MeteredContext,
  HandlerDependencies,
} from './request-context.ts';
import type { PlainResponse } from './responses.ts';
import type { LimitMode } from '../rate-limit/create-rate-limiter.ts';
import { rateLimitHeaders } from '../rate-limit/headers.ts';
import type { RateLimiter, Reservation } from '../rate-limit/rate-limiter.ts';

/** What it takes to know who is calling and how much each may use. */
export interface AdmissionDependencies extends HandlerDependencies {
  /** @throws ServiceError unauthorized, or config_unavailable while the keys cannot be read */
  readonly identify: (evidence: CallerEvidence) => Caller;
  readonly limits: CallerLimits;
}

type CallerHandler<Needs> = (exchange: CallerContext, needs: Needs) => Promise<PlainResponse>;
type MeteredHandler<Needs> = (exchange: MeteredContext, needs: Needs) => Promise<PlainResponse>;

/**
 * A route for known callers within their limits: the request is counted before anything is done.
 * Every route goes through this unless it says otherwise.
 */
export function authenticatedHandler<Needs extends AdmissionDependencies>(
  getService: () => Promise<Needs>,
  answer: CallerHandler<Needs>,
): HttpHandler {
  return publicHandler(getService, async (exchange, needs) => {
    const admitted = admitRequest(exchange, { needs, countsAtOnce: true });
    await admitted.countIfSure();
    return answer(admitted, needs);
  });
}

/**
 * The same for a route that asks the model: it takes request and tokens at once, when it has read
 * what is asked. A request that is refused before that is counted too, without tokens.
 */
export function meteredHandler<Needs extends AdmissionDependencies>(
  getService: () => Promise<Needs>,
  answer: MeteredHandler<Needs>,
): HttpHandler {
  return publicHandler(getService, async (exchange, needs) => {
    const admitted = admitRequest(exchange, { needs, countsAtOnce: false });
    try {
      return await answer(admitted, needs);
    } finally {
      // Whoever is over the limit is told that rather than what is wrong with the request.
      await admitted.countIfSure();
    }
  });
}

interface AdmittedContext extends MeteredContext {
  /** Takes one request where none has been taken yet, of a caller that is certain. */
  readonly countIfSure: () => Promise<void>;
}

interface AdmitOptions {
  readonly needs: AdmissionDependencies;
  /** Counts the request as soon as it is certain whose it is. */
  readonly countsAtOnce: boolean;
}

/**
 * Knows the caller before the body is looked at, so that nobody without a key costs any work. The
 * client's address is the one thing that the wire does not have (it holds the platform's own
 * proxy), and a JSON body may have replaced it. Such a body is refused when it is read; until then
 * nothing may be taken from the caller it points to, or given to whoever sent it.
 */
function admitRequest(
  exchange: RequestContext,
  { needs, countsAtOnce }: AdmitOptions,
): AdmittedContext {
  const { request, header, addHeaders } = exchange;
  const forwardedFor = request.headers.get('x-forwarded-for') ?? undefined;
  const caller = needs.identify({ header, forwardedFor });
  const callerId = hashIdentifier(caller.id);
  const allowance = createRateLimitAllowance(needs.limits, { callerId, addHeaders });
  let isSure = caller.kind !== 'address' || Number(header('content-length') ?? 0) === 0;

  async function countIfSure(): Promise<void> {
    if (isSure && !allowance.isCounted()) await allowance.reserve(0);
  }
  async function makeSure(): Promise<void> {
    isSure = true;
    if (countsAtOnce) await countIfSure();
  }
  return {
    ...exchange,
    get callerId() {
      if (!isSure) throw unverifiedCaller();
      return callerId;
    },
    reserve: (tokens) => allowance.reserve(tokens),
    countIfSure,
    bodyIsNoJson: makeSure,
    async readJson() {
      const body = await exchange.readJson();
      await makeSure();
      return body;
    },
  };
}

/** The route has no use for a body, so nobody has looked whether it is a harmless one. */
function unverifiedCaller(): ServiceError {
  return new ServiceError('invalid_request', 'Cannot accept a body here: it must be left out');
}

/** The limits that all routes keep. */
export interface CallerLimits {
  readonly limiter: RateLimiter;
  readonly mode: LimitMode;
  readonly clock: Clock;
}

/** What one request may take of its caller's limits. */
export interface RateLimitAllowance {
  /**
   * Takes the request and the tokens, and says in the headers of the answer what is left.
   * @throws ServiceError rate_limited, budget_exhausted or context_too_long
   */
  reserve(tokens: number): Promise<Reservation>;
  isCounted(): boolean;
}

export function createRateLimitAllowance(
  { limiter, mode, clock }: CallerLimits,
  {
    callerId,
    addHeaders,
  }: { callerId: string; addHeaders: (headers: Readonly<Record<string, string>>) => void },
): RateLimitAllowance {
  let counted = false;
  return {
    async reserve(tokens) {
      counted = true;
      const verdict = await limiter.reserve({ callerId, tokens });
      addHeaders(rateLimitHeaders(verdict, { mode, now: clock.now() }));
      if (!verdict.allowed) throw verdict.error;
      return verdict.reservation;
    },
    isCounted: () => counted,
  };
}
