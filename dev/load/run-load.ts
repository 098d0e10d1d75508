import * as z from 'zod';
import { percentile } from '../faults/steady-load.ts';

/** A request that is sent again and again. */
export interface LoadTarget {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** A new body for each request, so that no cache answers. */
  readonly body: () => string;
}

export interface LoadOptions {
  /** Callers of each step; every caller sends its next request after an answer. */
  readonly steps: readonly number[];
  readonly secondsPerStep: number;
  /** Requests of all steps together, which bounds the cost. */
  readonly maxRequests: number;
  /** Ends after the first step beyond the capacity. */
  readonly endsAtLimit: boolean;
  /** Gets the share of the time that has passed, 0 to 1. */
  readonly onProgress?: (done: number, callers: number) => void;
}

/** The figures of one step; times in milliseconds, of answers with status 200 only. */
export interface StepFigures {
  readonly callers: number;
  readonly requests: number;
  readonly perSecond: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly throttled: number;
  readonly errors: number;
  /** What the errors were, such as `503`, or `no answer`. */
  readonly failures: readonly string[];
}

export interface LoadResult {
  readonly steps: readonly StepFigures[];
  /** Why the last step is beyond the capacity; undefined if no step was. */
  readonly limit: string | undefined;
}

/** A stream or a batch item may take that long at most behind the front end of Azure. */
const REQUEST_TIMEOUT_MS = 230_000;
const MAX_ERROR_SHARE = 0.01;
const MAX_SLOWDOWN = 2;

/** Raises the load step by step. */
export async function runLoad(target: LoadTarget, options: LoadOptions): Promise<LoadResult> {
  const steps: StepFigures[] = [];
  let left = options.maxRequests;
  for (const callers of options.steps) {
    const figures = await runStep(target, { callers, left, options, done: steps.length });
    steps.push(figures);
    left -= figures.requests;
    const limit = limitOf(figures, steps[0] ?? figures);
    if (limit !== undefined && options.endsAtLimit) return { steps, limit };
    if (left <= 0) return { steps, limit: undefined };
  }
  return { steps, limit: undefined };
}

interface Step {
  readonly callers: number;
  readonly left: number;
  readonly options: LoadOptions;
  /** Steps before this one. */
  readonly done: number;
}

async function runStep(
  target: LoadTarget,
  { callers, left, options, done }: Step,
): Promise<StepFigures> {
  const { secondsPerStep, steps, onProgress } = options;
  const startedAt = performance.now();
  const endsAt = startedAt + secondsPerStep * 1_000;
  const outcomes: Outcome[] = [];
  let sent = 0;
  async function call(): Promise<void> {
    while (performance.now() < endsAt && sent < left) {
      sent += 1;
      outcomes.push(await sendOnce(target));
      const share = (performance.now() - startedAt) / (endsAt - startedAt);
      onProgress?.((done + Math.min(1, share)) / steps.length, callers);
    }
  }
  await Promise.all(Array.from({ length: callers }, call));
  const seconds = (performance.now() - startedAt) / 1_000;
  return figuresOf(outcomes, { callers, seconds });
}

interface Outcome {
  /** 0: no answer. */
  readonly status: number;
  readonly durationMs: number;
}

async function sendOnce({ url, headers, body }: LoadTarget): Promise<Outcome> {
  const startedAt = performance.now();
  const took = () => performance.now() - startedAt;
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers,
      body: body(),
      redirect: 'manual',
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    });
    await response.arrayBuffer();
    return { status: response.status, durationMs: took() };
  } catch {
    return { status: 0, durationMs: took() };
  }
}

function figuresOf(
  outcomes: readonly Outcome[],
  { callers, seconds }: { readonly callers: number; readonly seconds: number },
): StepFigures {
  const answered = outcomes.filter(({ status }) => status === 200);
  const times = answered.map(({ durationMs }) => durationMs);
  const failed = outcomes.filter(({ status }) => status !== 200 && status !== 429);
  const names = failed.map(({ status }) => (status === 0 ? 'no answer' : String(status)));
  return {
    callers,
    requests: outcomes.length,
    perSecond: answered.length / seconds,
    p50: percentile(times, 0.5),
    p95: percentile(times, 0.95),
    p99: percentile(times, 0.99),
    throttled: outcomes.filter(({ status }) => status === 429).length,
    errors: failed.length,
    failures: [...new Set(names)],
  };
}

function limitOf(figures: StepFigures, first: StepFigures): string | undefined {
  const { requests, errors, failures, throttled, p99 } = figures;
  if (errors > requests * MAX_ERROR_SHARE) {
    return `${errors} of ${requests} requests failed (${failures.join(', ')})`;
  }
  if (throttled > requests * MAX_ERROR_SHARE) {
    return `${throttled} of ${requests} requests were answered with 429`;
  }
  return p99 > first.p99 * MAX_SLOWDOWN
    ? 'p99 is more than twice that of the first step'
    : undefined;
}

const VERSION_TIMEOUT_MS = 10_000;
const healthSchema = z.object({ version: z.string() });

/** The version of the app at the URL. */
export async function readVersion(url: URL): Promise<string> {
  const signal = AbortSignal.timeout(VERSION_TIMEOUT_MS);
  const response = await fetch(new URL('/health', url), { signal });
  return healthSchema.parse(await response.json()).version;
}
