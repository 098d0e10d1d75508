import type { FaultEnvironment } from './fault-environment.ts';

/** How the caller requests its answer. */
export type Mode = 'json' | 'stream';

/** Least and most, both allowed. */
export type Range = readonly [least: number, most: number];

/** What a caller must receive, and which calls the upstream may receive. */
export interface Expected {
  /** `answer` for a complete answer, otherwise the error code. */
  readonly outcome: string;
  readonly calls: number | Range;
  readonly retryAfterSeconds?: Range;
  /** Milliseconds between the first call and the second. */
  readonly waitMs?: Range;
  /** Whether part of the text must arrive before the ending. */
  readonly textFirst?: boolean;
  /** Calls to the second endpoint. */
  readonly fallbackCalls?: number;
  /** A part of the answer's text. */
  readonly contains?: string;
}

interface CaseBase {
  /** The id in docs/faults.md, such as U7. */
  readonly id: string;
  /** The fault, in a few words. */
  readonly injected: string;
  readonly modes: readonly Mode[];
  /** With two, the second one works. */
  readonly endpoints: 1 | 2;
  /**
   * Settings of an environment of its own, if the fault changes the instance or needs other
   * settings.
   */
  readonly own?: Readonly<Record<string, string>>;
}

/** One request to a scripted model, and its expected result. */
export interface ScriptedCase extends CaseBase {
  readonly kind: 'scripted';
  readonly script: string;
  readonly expected: Expected;
}

/** The result of a custom case: a description, and every violation of its promise. */
export interface Finding {
  readonly happened: string;
  readonly calls: number;
  readonly problems: readonly string[];
  /** Everything that callers received, headers included: it must not contain the canaries. */
  readonly received: readonly string[];
}

/** A fault that needs more than one request. */
export interface CustomCase extends CaseBase {
  readonly kind: 'custom';
  readonly promised: string;
  readonly run: (environment: FaultEnvironment, mode: Mode) => Promise<Finding>;
}

export type FaultCase = ScriptedCase | CustomCase;

/** Cases that share the settings of one environment. */
export interface FaultFamily {
  readonly name: string;
  readonly settings: Readonly<Record<string, string>>;
  /** Whether the app has a storage account, and its queues. */
  readonly hasStorage?: true;
  /**
   * Cases that run at once: 1 if a case slows down the endpoint for all others, and at most 5, as an
   * endpoint saves up ten retries and each case may need two.
   */
  readonly lanes: number;
  readonly cases: readonly FaultCase[];
}

const BOTH: readonly Mode[] = ['json', 'stream'];

type Optional = Partial<Pick<CaseBase, 'modes' | 'endpoints' | 'own'>>;

export type ScriptedOptions = Omit<ScriptedCase, 'kind' | 'injected' | 'modes' | 'endpoints'> &
  Optional & { readonly injected?: string };

/** A scripted case; by default as JSON and as a stream, with one endpoint. */
export function scripted(parts: ScriptedOptions): FaultCase {
  return { kind: 'scripted', injected: parts.script, modes: BOTH, endpoints: 1, ...parts };
}

export type CustomOptions = Omit<CustomCase, 'kind' | 'modes' | 'endpoints'> & Optional;

export function custom(parts: CustomOptions): FaultCase {
  return { kind: 'custom', modes: BOTH, endpoints: 1, ...parts };
}

/** What a case promises, as a phrase. */
export function describePromise(one: FaultCase): string {
  return one.kind === 'custom' ? one.promised : describeExpected(one.expected);
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
