import { measureCost, ratioOf, type Costs, type MeasuredRequest } from './measure-cost.ts';
import { median } from './measure-requests.ts';
import type { SpeedRow } from './report.ts';

const BACK_TO_BACK = { rounds: 30, requests: 80, lanes: 8, gapMs: 0 };
const WITH_GAPS = { rounds: 8, requests: 30, lanes: 1, gapMs: 10 };
/** Requests of each kind before the first round: the compiler optimises code after some calls. */
const WARM_UP = { rounds: 3, requests: 300, lanes: 8, gapMs: 0 };

/** The CPU time of each kind without pauses between the requests, and with pauses of 10 ms. */
export interface CostFigures {
  readonly busy: Costs;
  readonly spaced: Costs;
}

export async function measureCosts(kinds: readonly MeasuredRequest[]): Promise<CostFigures> {
  await measureCost(kinds, WARM_UP);
  const busy = await measureCost(kinds, BACK_TO_BACK);
  const calling = kinds.filter(({ name }) => !/health|hit|minimum/.test(name));
  return { busy, spaced: await measureCost(calling, WITH_GAPS) };
}

const HOW = 'all threads of the worker, kinds by turns, median of the ratios within a round';

/** One row for each kind, then the targets. */
export function toCostRows({ busy, spaced }: CostFigures): SpeedRow[] {
  return [...[...busy.keys()].map((name) => kindRow(name, { busy, spaced })), ...targetRows(busy)];
}

function kindRow(name: string, { busy, spaced }: CostFigures): SpeedRow {
  const bare = name.endsWith(' stream') ? 'pass-through stream' : 'pass-through';
  const ratio = ratioOf(busy, { of: name, to: bare });
  const baseline = ratioOf(busy, { of: name, to: `baseline ${name}` });
  const texts = [
    `${median(busy.get(name) ?? []).toFixed(0)} us`,
    ...textOf(ratio, `x of ${bare}`),
    ...textOf(baseline, 'x of the baseline'),
    ...(spaced.has(name) ? [`${median(spaced.get(name) ?? []).toFixed(0)} us with gaps`] : []),
    ...textOf(ratioOf(spaced, { of: name, to: bare }), 'x'),
  ];
  return {
    what: `CPU of a request: ${name}`,
    measured: texts.join(', '),
    target: '',
    how: HOW,
    value: ratio,
  };
}

function textOf(ratio: number, unit: string): string[] {
  return Number.isNaN(ratio) ? [] : [`${ratio.toFixed(2)}${unit}`];
}

interface Target {
  readonly of: string;
  readonly to: string;
  readonly most: number;
}

const TARGETS: readonly Target[] = [
  { of: 'chat', to: 'pass-through', most: 1.25 },
  { of: 'chat stream', to: 'chat', most: 1.5 },
  { of: 'completions stream', to: 'completions', most: 1.5 },
  { of: 'completions', to: 'portkey', most: 1 },
];

function targetRows(busy: Costs): SpeedRow[] {
  return TARGETS.filter(({ of, to }) => busy.has(of) && busy.has(to)).map(({ of, to, most }) => {
    const ratio = ratioOf(busy, { of, to });
    return {
      what: `CPU of ${of} against ${to === 'portkey' ? '@portkey-ai/gateway 1.15.2' : to}`,
      measured: `${ratio.toFixed(2)}x`,
      target: `<= ${most}x`,
      isMet: ratio <= most,
      how: HOW,
      value: ratio,
    };
  });
}
