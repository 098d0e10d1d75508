import { parseArgs } from 'node:util';
import { detectPii } from '../shared/guardrails/personal-data.ts';
import { detectInjection } from '../shared/guardrails/prompt-injection.ts';
import { CliError, describeCliError } from './cli-error.ts';
import {
  channelOf,
  type InjectionRow,
  type PiiRow,
  readLabelledFile,
} from './guardrails/labelled-file.ts';
import { describeFigures, injectionFigures, THRESHOLD } from './guardrails/score-injection.ts';
import { type PiiFigures, piiFigures, rates, type SpanCounts } from './guardrails/score-pii.ts';
import { describeReport, isClean, sendTexts } from './guardrails/send-texts.ts';
import { isMain } from './project-root.ts';
import { formatTable } from './table.ts';

/** The tables about a file of labelled texts. Throws a CliError for a file that cannot be read. */
export async function scoreFile(path: string): Promise<string> {
  const file = await readLabelledFile(path);
  return file.kind === 'pii' ? piiTables(file.rows) : injectionTables(file.rows);
}

function piiTables(rows: readonly PiiRow[]): string {
  const { figures, slowestMs } = timed(rows);
  const byType = [...figures.strictByType]
    .toSorted(([a], [b]) => a.localeCompare(b))
    .map(([type, counts]) => [type].concat(cellsOf(counts)));
  const total = [
    ['all', ...cellsOf(figures.strict)],
    ['all, overlap', ...cellsOf(figures.overlap)],
  ];
  const bySource = groupBySource(rows).map(([source, own]) => {
    const { strict, covered, cleanTexts } = piiFigures(own, detectPii);
    const cells = cellsOf(strict);
    const hasSpans = strict.hits + strict.missed > 0;
    return [source, String(own.length)].concat(cells, [
      hasSpans ? percent(covered) : '-',
      flagged(cleanTexts),
    ]);
  });
  return [
    formatTable([{ heading: 'type' }, ...SPAN_COLUMNS], [...byType, ...total]),
    formatTable(
      [
        { heading: 'source' },
        { heading: 'texts', align: 'right' },
        ...SPAN_COLUMNS,
        { heading: 'covered', align: 'right' },
        { heading: 'clean texts flagged', align: 'right' },
      ],
      bySource,
    ),
    `spans fully covered ${percent(figures.covered)}, clean texts flagged ` +
      `${flagged(figures.cleanTexts)}, slowest text ${slowestMs.toFixed(2)} ms`,
  ].join('\n\n');
}

const SPAN_COLUMNS = ['precision', 'recall', 'F1', 'hits', 'wrong', 'missed'].map((heading) => ({
  heading,
  align: 'right' as const,
}));

function cellsOf(counts: SpanCounts): string[] {
  const { precision, recall, f1 } = rates(counts);
  const { hits, wrong, missed } = counts;
  if (hits + wrong + missed === 0) return ['-', '-', '-', '0', '0', '0'];
  return [percent(precision), percent(recall), percent(f1), ...[hits, wrong, missed].map(String)];
}

function flagged({ flagged: hits, all }: PiiFigures['cleanTexts']): string {
  return all === 0 ? '-' : `${hits} of ${all}`;
}

function timed(rows: readonly PiiRow[]): { figures: PiiFigures; slowestMs: number } {
  let slowestMs = 0;
  const figures = piiFigures(rows, (text) => {
    const startedAt = performance.now();
    const found = detectPii(text);
    slowestMs = Math.max(slowestMs, performance.now() - startedAt);
    return found;
  });
  return { figures, slowestMs };
}

function injectionTables(rows: readonly InjectionRow[]): string {
  let slowestMs = 0;
  const scores = rows.map((row) => {
    const startedAt = performance.now();
    const score = detectInjection(row.text, { channel: channelOf(row) });
    slowestMs = Math.max(slowestMs, performance.now() - startedAt);
    return score;
  });
  const scored = rows.map((row, index) => ({ ...row, score: scores[index] ?? 0 }));
  const kinds = new Map<string, typeof scored>();
  for (const row of scored) {
    const key = `${row.source}\t${row.strength}\t${row.channel}`;
    kinds.set(key, [...(kinds.get(key) ?? []), row]);
  }
  const lines = [...kinds]
    .toSorted(([a], [b]) => a.localeCompare(b))
    .map(([key, own]) => {
      const hits = own.filter(({ score }) => score >= THRESHOLD).length;
      const part = percent(hits / own.length);
      return key.split('\t').concat(String(own.length), String(hits), part);
    });
  const headings = ['source', 'label', 'channel', 'texts', 'flagged', 'part'];
  return [
    formatTable(
      headings.map((heading, index) => ({ heading, align: index < 3 ? 'left' : 'right' })),
      lines,
    ),
    `${describeFigures(injectionFigures(rows, scores))}, slowest text ${slowestMs.toFixed(2)} ms`,
  ].join('\n\n');
}

function groupBySource(rows: readonly PiiRow[]): [string, PiiRow[]][] {
  const groups = new Map<string, PiiRow[]>();
  for (const row of rows) groups.set(row.source, [...(groups.get(row.source) ?? []), row]);
  return [...groups].toSorted(([a], [b]) => a.localeCompare(b));
}

function percent(part: number): string {
  return `${(100 * part).toFixed(1)} %`;
}

/**
 * `npm run guardrails -- file.jsonl`: how often the detectors are right on labelled texts.
 * `npm run guardrails -- folder --url URL [--count N]`: what a running app answers to hostile texts.
 */
async function main(): Promise<number> {
  try {
    const { positionals, values } = parseArgs({
      allowPositionals: true,
      options: { url: { type: 'string' }, count: { type: 'string', default: '10000' } },
    });
    const [first] = positionals;
    if (first === undefined) {
      throw new CliError('Cannot score as a file of labelled texts is missing');
    }
    if (values.url !== undefined) {
      const report = await sendTexts(first, { url: values.url, count: Number(values.count) });
      console.log(describeReport(report));
      return isClean(report) ? 0 : 1;
    }
    for (const path of positionals) console.log(`${path}\n\n${await scoreFile(path)}\n`);
    return 0;
  } catch (error) {
    console.error(describeCliError(error));
    return 1;
  }
}

if (isMain(import.meta.filename)) process.exitCode = await main();
