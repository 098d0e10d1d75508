import type { FaultEnvironment } from './fault-environment.ts';

/** How the caller wants its answer. */
export type Mode = 'json' | 'stream';

/** Least and most, both allowed. */
export type Range = readonly [least: number, most: number];

/** What a caller must see, and what the upstream may see of it. */
export interface Expected {
  /** A whole answer, or the code of the error. */
  readonly outcome: string;
  readonly calls: number | Range;
  readonly retryAfterSeconds?: Range;
  /** Milliseconds between the first call and the second. */
  readonly waitMs?: Range;
  /** Whether part of the text was shown before the ending. */
  readonly textFirst?: boolean;
  /** Calls to the second endpoint. */
  readonly fallbackCalls?: number;
  /** What the text of the answer contains. */
  readonly says?: string;
}

interface CommonParts {
  /** The id in the catalogue of faults, such as U7. */
  readonly id: string;
  /** What was done to the service, in a few words. */
  readonly injected: string;
  readonly modes: readonly Mode[];
  /** With two, the second one is well. */
  readonly endpoints: 1 | 2;
  /** An environment of its own, where the fault leaves marks on the instance or needs other settings. */
  readonly own?: Readonly<Record<string, string>>;
}

/** One question to a scripted model, and what must come of it. */
export interface ScriptedCase extends CommonParts {
  readonly kind: 'scripted';
  readonly script: string;
  readonly expected: Expected;
}

/** What an acted case found: its own words, and everything that broke a promise. */
export interface Finding {
  readonly happened: string;
  readonly calls: number;
  readonly problems: readonly string[];
  /** All that callers were sent, headers included: it is searched for what nobody may read. */
  readonly told: readonly string[];
}

/** A fault that takes more than one question to show. */
export interface ActedCase extends CommonParts {
  readonly kind: 'acted';
  readonly promised: string;
  readonly act: (environment: FaultEnvironment, mode: Mode) => Promise<Finding>;
}

export type FaultCase = ScriptedCase | ActedCase;

/** Cases that share the settings of one environment. */
export interface FaultFamily {
  readonly name: string;
  readonly settings: Readonly<Record<string, string>>;
  /** Cases that may run at once: one where a case slows down the endpoint for all others. */
  readonly lanes: number;
  readonly cases: readonly FaultCase[];
}

const BOTH: readonly Mode[] = ['json', 'stream'];

type Optional = Partial<Pick<CommonParts, 'modes' | 'endpoints' | 'own'>>;

export type Scripted = Omit<ScriptedCase, 'kind' | 'injected' | 'modes' | 'endpoints'> &
  Optional & { readonly injected?: string };

/** A scripted case; by default as JSON and as a stream, with one endpoint. */
export function scripted(parts: Scripted): FaultCase {
  return { kind: 'scripted', injected: parts.script, modes: BOTH, endpoints: 1, ...parts };
}

export type Acted = Omit<ActedCase, 'kind' | 'modes' | 'endpoints'> & Optional;

export function acted(parts: Acted): FaultCase {
  return { kind: 'acted', modes: BOTH, endpoints: 1, ...parts };
}

/** What a case promises, as a phrase. */
export function describePromise(one: FaultCase): string {
  return one.kind === 'acted' ? one.promised : describeExpected(one.expected);
}

function describeExpected(expected: Expected): string {
  const { outcome, calls, retryAfterSeconds, waitMs, textFirst, fallbackCalls } = expected;
  const [least, most] = typeof calls === 'number' ? [calls, calls] : calls;
  return [
    textFirst === true ? `text, then ${outcome}` : outcome,
    least === most ? `${least} calls` : `${least}-${most} calls`,
    ...(fallbackCalls === undefined ? [] : [`${fallbackCalls} to the second`]),
    ...(waitMs === undefined ? [] : [`waits >= ${waitMs[0]} ms`]),
    ...(retryAfterSeconds === undefined ? [] : [`Retry-After ${describeRange(retryAfterSeconds)}`]),
  ].join(', ');
}

function describeRange([least, most]: Range): string {
  return least === most ? `${least}` : `${least}-${most}`;
}
