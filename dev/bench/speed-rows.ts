import type { Competitor } from './competitors.ts';
import type { BatchFigures } from './measure-batch.ts';
import type { LoadFigures } from './measure-package.ts';
import type { Figures } from './measure-requests.ts';
import type { SpeedRow } from './report.ts';

export type ByName = Partial<Record<Competitor['name'], Figures>>;

export interface Measured {
  readonly figures: ByName;
  readonly ours: LoadFigures;
  /** With the chunks of telemetry, identity and Key Vault. */
  readonly cloud: LoadFigures;
  readonly bareApp: LoadFigures;
  readonly zipBytes: number;
  readonly batch: BatchFigures | undefined;
}

const MB = 1024 * 1024;
const OURS = ['chat', 'completions'] as const;
const ROUTES = { chat: 'POST /api/chat', completions: 'POST /v1/chat/completions' } as const;
const LOAD = '32 connections, median of interleaved rounds';
const INTERLEAVED = 'one request at a time, competitors interleaved, difference of medians';

/** All measurements as rows, with the targets of the product. */
export function toSpeedRows(measured: Measured): SpeedRow[] {
  const { figures } = measured;
  return [
    ...Object.entries(figures).map(([name, one]) => ({
      what: `requests/s, ${name}`,
      measured: `${one.perSecond.toFixed(0)}/s, p50 ${one.p50At32} ms, p99 ${one.p99At32} ms`,
      target: '',
      how: LOAD,
    })),
    ...Object.entries(figures).map(([name, one]) => ({
      what: `one at a time, ${name}`,
      measured: `p50 ${one.p50At1.toFixed(2)} ms, p99 ${one.p99At1.toFixed(2)} ms`,
      target: '',
      how: 'one request at a time, competitors interleaved',
    })),
    ...OURS.flatMap((name) => addedRows(name, figures)),
    ...portkeyRows(figures),
    ...packageRows(measured),
    ...batchRows(measured),
  ];
}

function addedRows(name: (typeof OURS)[number], figures: ByName): SpeedRow[] {
  const { [name]: own, 'pass-through': bare, upstream } = figures;
  if (own === undefined || bare === undefined || upstream === undefined) return [];
  const p50 = own.p50At1 - bare.p50At1;
  const firstToken = own.firstTokenMs - bare.firstTokenMs;
  const what = ROUTES[name];
  return [
    {
      what: `${what}: requests/s against pass-through`,
      measured: `${(own.perSecond / bare.perSecond).toFixed(2)}x`,
      target: '>= 0.9x',
      isMet: own.perSecond >= 0.9 * bare.perSecond,
      how: LOAD,
      value: own.perSecond / bare.perSecond,
    },
    {
      what: `${what}: p50 at 1, added to pass-through`,
      measured: `${p50.toFixed(2)} ms`,
      target: '< 1.0 ms',
      isMet: p50 < 1,
      how: INTERLEAVED,
    },
    {
      what: `${what}: p99 at 1, added to pass-through`,
      measured: `${(own.p99At1 - bare.p99At1).toFixed(2)} ms`,
      target: '',
      how: INTERLEAVED,
    },
    {
      what: `${what}: p50 at 1, added to the upstream alone`,
      measured: `${(own.p50At1 - upstream.p50At1).toFixed(2)} ms`,
      target: '',
      how: `${INTERLEAVED}; includes the local host`,
    },
    {
      what: `${what}: first token, added to pass-through`,
      measured: `${firstToken.toFixed(2)} ms`,
      target: '< 2 ms',
      isMet: firstToken < 2,
      how: INTERLEAVED,
    },
    {
      what: `${what}: memory of the worker after the load`,
      measured: `${own.memoryMb.toFixed(0)} MB (pass-through ${bare.memoryMb.toFixed(0)} MB)`,
      target: '',
      how: 'resident set',
    },
  ];
}

function portkeyRows({ completions, portkey }: ByName): SpeedRow[] {
  if (completions === undefined || portkey === undefined) return [];
  const ratio = completions.perSecond / portkey.perSecond;
  return [
    {
      what: 'requests/s against @portkey-ai/gateway 1.15.2',
      measured: `${ratio.toFixed(2)}x`,
      target: '',
      how: `${LOAD}; ours with the local host`,
    },
    {
      what: 'p99 against @portkey-ai/gateway 1.15.2',
      measured: `${completions.p99At32} ms against ${portkey.p99At32} ms`,
      target: '',
      how: LOAD,
    },
  ];
}

function packageRows({ ours, cloud, bareApp, zipBytes }: Measured): SpeedRow[] {
  const loadHow = 'fresh process, no settings, median of 7';
  return [
    {
      what: 'load of the built package',
      measured: `${ours.ms.toFixed(0)} ms (only @azure/functions: ${bareApp.ms.toFixed(0)} ms)`,
      target: '<= 90 ms',
      isMet: ours.ms <= 90,
      how: loadHow,
    },
    {
      what: 'load of the built package against an app with only @azure/functions',
      measured: `${(ours.ms / bareApp.ms).toFixed(1)}x`,
      target: '<= 4.5x',
      isMet: ours.ms <= 4.5 * bareApp.ms,
      how: loadHow,
      value: ours.ms / bareApp.ms,
    },
    {
      what: 'memory of the loaded package',
      measured: `${ours.memoryMb.toFixed(0)} MB (only @azure/functions: ${bareApp.memoryMb.toFixed(0)} MB)`,
      target: '<= 80 MB',
      isMet: ours.memoryMb <= 80,
      how: loadHow,
      value: ours.memoryMb,
    },
    {
      what: 'load with telemetry, identity and Key Vault',
      measured: `${cloud.ms.toFixed(0)} ms, ${cloud.memoryMb.toFixed(0)} MB`,
      target: '<= 300 ms',
      isMet: cloud.ms <= 300,
      how: 'fresh process, median of 7',
    },
    {
      what: 'deployment package',
      measured: `${(zipBytes / MB).toFixed(2)} MB`,
      target: '<= 3 MB',
      isMet: zipBytes <= 3 * MB,
      how: 'zip format: each file of dist deflated, plus headers',
      value: zipBytes / MB,
    },
  ];
}

function batchRows({ batch }: Measured): SpeedRow[] {
  if (batch === undefined) return [];
  return [
    batchRow(batch.alone, {
      what: 'batch of 1,000 items at 200 ms, concurrency 50',
      how: 'first model call to the end of the last; ideal 4 s',
    }),
    batchRow(batch.besideStraggler, {
      what: 'the same with one item that takes 10 s',
      how: '980 other items on the remaining 49 slots; ideal 4 s',
    }),
    {
      what: 'CPU of a batch item',
      measured: `${batch.itemCpuUs.toFixed(0)} us`,
      target: '',
      how: 'all threads of the worker for a queue job of 1,000 items and an instant model, by item',
      value: batch.itemCpuUs,
    },
  ];
}

function batchRow(share: number, texts: Pick<SpeedRow, 'what' | 'how'>): SpeedRow {
  return {
    ...texts,
    measured: `${(share * 100).toFixed(1)} % of the ideal`,
    target: '>= 95 %',
    isMet: share >= 0.95,
    value: share,
  };
}
