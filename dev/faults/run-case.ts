import { sendRequest } from './send-request.ts';
import { describePromise, type FaultCase, type Finding, type Mode } from './fault-case.ts';
import type { FaultEnvironment } from './fault-environment.ts';
import { checkAnswer } from './check-answer.ts';
import { monitorEnvironment } from './environment-monitor.ts';

/** One line of the wall. */
export interface Row extends Omit<Finding, 'told'> {
  readonly id: string;
  readonly mode: Mode;
  readonly endpoints: 1 | 2;
  readonly injected: string;
  readonly promised: string;
  readonly ms: number;
}

/** On top of the longest deadline of the families' settings: a busy machine is not a broken promise. */
const LONGEST_MS = 12_000;

let markers = 0;

/** A word that no other question has: by it the calls of a question are found upstream. */
export function newMarker(): string {
  markers += 1;
  return `marker-${process.pid}-${markers}-end`;
}

/** Runs one case in one mode, with everything watched that must hold whatever the fault is. */
export async function runCase(
  environment: FaultEnvironment,
  { one, mode }: { readonly one: FaultCase; readonly mode: Mode },
): Promise<Row> {
  const startedAt = performance.now();
  const watch = monitorEnvironment(environment);
  const finding = await perform(environment, { one, mode });
  const broken = await watch.end(finding.told);
  return {
    id: one.id,
    mode,
    endpoints: one.endpoints,
    injected: one.injected,
    promised: describePromise(one),
    happened: finding.happened,
    calls: finding.calls,
    problems: [...finding.problems, ...broken],
    ms: performance.now() - startedAt,
  };
}

async function perform(
  environment: FaultEnvironment,
  { one, mode }: { readonly one: FaultCase; readonly mode: Mode },
): Promise<Finding> {
  try {
    if (one.kind === 'acted') return await one.act(environment, mode);
    return await runScripted(environment, { one, mode });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { happened: reason, calls: 0, problems: [reason], told: [] };
  }
}

async function runScripted(
  environment: FaultEnvironment,
  { one, mode }: { readonly one: FaultCase & { kind: 'scripted' }; readonly mode: Mode },
): Promise<Finding> {
  // Retries have a budget that calls pay into: the cases before this one are not to use up its own.
  if (one.own === undefined) {
    for (let paid = 0; paid < 2; paid += 1) {
      await sendRequest(environment.url, { message: `dev/instant ${newMarker()}`, mode });
    }
  }
  const marker = newMarker();
  const told = await sendRequest(environment.url, { message: `${one.script} ${marker}`, mode });
  const calls = environment.callsWith(marker);
  const secondCalls = environment.secondCallsWith(marker);
  const problems = [
    ...checkAnswer(one.expected, { told, calls, secondCalls }),
    ...(told.endings === 1 ? [] : [`${told.endings} endings instead of 1`]),
    ...(told.ms <= LONGEST_MS ? [] : [`took ${Math.round(told.ms)} ms, past its deadline`]),
  ];
  const happened = [
    told.text !== '' && told.outcome !== 'answer' ? `text, then ${told.outcome}` : told.outcome,
    `${told.status}`,
    ...(told.retryAfterSeconds === undefined ? [] : [`Retry-After ${told.retryAfterSeconds}`]),
  ].join(', ');
  return { happened, calls: calls.length + secondCalls, problems, told: [told.raw] };
}
