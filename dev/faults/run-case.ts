import { sendRequest } from './send-request.ts';
import { describePromise, type FaultCase, type Finding, type Mode } from './fault-case.ts';
import type { FaultEnvironment } from './fault-environment.ts';
import { checkAnswer } from './check-answer.ts';
import { monitorEnvironment } from './environment-monitor.ts';

/** One row of the table. */
export interface Row extends Omit<Finding, 'received'> {
  readonly id: string;
  readonly mode: Mode;
  readonly endpoints: 1 | 2;
  readonly injected: string;
  readonly promised: string;
  readonly ms: number;
}

/** More than the longest deadline in the families' settings, because the machine may be busy. */
const LONGEST_MS = 12_000;

let markers = 0;

/** A word that no other request contains; it identifies the upstream calls of a request. */
export function newMarker(): string {
  markers += 1;
  return `marker-${process.pid}-${markers}-end`;
}

/** Runs one case in one mode, and checks what must hold with every fault. */
export async function runCase(
  environment: FaultEnvironment,
  { one, mode }: { readonly one: FaultCase; readonly mode: Mode },
): Promise<Row> {
  const startedAt = performance.now();
  const watch = monitorEnvironment(environment);
  const finding = await perform(environment, { one, mode });
  const broken = await watch.end(finding.received);
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
    if (one.kind === 'custom') return await one.run(environment, mode);
    return await runScripted(environment, { one, mode });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { happened: reason, calls: 0, problems: [reason], received: [] };
  }
}

async function runScripted(
  environment: FaultEnvironment,
  { one, mode }: { readonly one: FaultCase & { kind: 'scripted' }; readonly mode: Mode },
): Promise<Finding> {
  // Calls add to the retry budget: the cases before this one must not use up its share.
  if (one.own === undefined) {
    for (let paid = 0; paid < 2; paid += 1) {
      await sendRequest(environment.url, { message: `dev/instant ${newMarker()}`, mode });
    }
  }
  const marker = newMarker();
  const result = await sendRequest(environment.url, { message: `${one.script} ${marker}`, mode });
  const calls = environment.callsWith(marker);
  const secondCalls = environment.secondCallsWith(marker);
  const problems = [
    ...checkAnswer(one.expected, { result, calls, secondCalls }),
    ...(result.endings === 1 ? [] : [`${result.endings} endings instead of 1`]),
    ...(result.ms <= LONGEST_MS ? [] : [`took ${Math.round(result.ms)} ms, past its deadline`]),
  ];
  const happened = [
    result.text !== '' && result.outcome !== 'answer'
      ? `text, then ${result.outcome}`
      : result.outcome,
    `${result.status}`,
    ...(result.retryAfterSeconds === undefined ? [] : [`Retry-After ${result.retryAfterSeconds}`]),
  ].join(', ');
  return { happened, calls: calls.length + secondCalls, problems, received: [result.raw] };
}
