import type { PiiSpan } from '../../shared/guardrails/personal-data.ts';
import type { PiiRow } from './labelled-file.ts';

/** What a detector gets right and wrong, in spans. */
export interface SpanCounts {
  hits: number;
  wrong: number;
  missed: number;
}

export interface PiiFigures {
  /** Spans with the same type, start and end. */
  readonly strict: SpanCounts;
  /** Spans of the same type that share a character. */
  readonly overlap: SpanCounts;
  readonly strictByType: ReadonlyMap<string, SpanCounts>;
  /** Labelled spans of which no character is left out, whatever the type; a part of 1. */
  readonly covered: number;
  /** Texts without labels in which something was found. */
  readonly cleanTexts: { readonly flagged: number; readonly all: number };
}

type Span = Pick<PiiSpan, 'start' | 'end'> & { readonly type: string };
type Match = (found: Span, labelled: Span) => boolean;

const sameSpan: Match = (a, b) => a.start === b.start && a.end === b.end;
const overlapping: Match = (a, b) => a.start < b.end && b.start < a.end;

/** Compares what was found in each row with its labels. */
export function piiFigures(
  rows: readonly PiiRow[],
  detect: (text: string) => readonly PiiSpan[],
): PiiFigures {
  const strictByType = new Map<string, SpanCounts>();
  const overlap = emptyCounts();
  const cleanTexts = { flagged: 0, all: 0 };
  const spans = { covered: 0, all: 0 };
  for (const row of rows) {
    const labelled = row.entities.map((entity) => toUtf16(row.text, entity));
    const all = detect(row.text);
    const found = all.filter(({ type }) => row.scope?.includes(type) ?? true);
    for (const type of new Set([...labelled, ...found].map((span) => span.type))) {
      const counts = strictByType.get(type) ?? emptyCounts();
      strictByType.set(type, counts);
      const ofType = (span: Span) => span.type === type;
      const pair = { found: found.filter(ofType), labelled: labelled.filter(ofType) };
      addMatches(counts, { ...pair, matches: sameSpan });
      addMatches(overlap, { ...pair, matches: overlapping });
    }
    spans.all += labelled.length;
    spans.covered += labelled.filter((span) => isCovered(span, all)).length;
    if (labelled.length > 0) continue;
    cleanTexts.all += 1;
    if (found.length > 0) cleanTexts.flagged += 1;
  }
  const strict = sumCounts([...strictByType.values()]);
  return { strict, overlap, strictByType, covered: spans.covered / (spans.all || 1), cleanTexts };
}

function emptyCounts(): SpanCounts {
  return { hits: 0, wrong: 0, missed: 0 };
}

function sumCounts(all: readonly SpanCounts[]): SpanCounts {
  const sum = emptyCounts();
  for (const { hits, wrong, missed } of all) {
    sum.hits += hits;
    sum.wrong += wrong;
    sum.missed += missed;
  }
  return sum;
}

interface Comparison {
  readonly found: readonly Span[];
  readonly labelled: readonly Span[];
  readonly matches: Match;
}

function addMatches(counts: SpanCounts, { found, labelled, matches }: Comparison): void {
  const left = [...found];
  for (const label of labelled) {
    const index = left.findIndex((one) => matches(one, label));
    if (index < 0) counts.missed += 1;
    else {
      counts.hits += 1;
      left.splice(index, 1);
    }
  }
  counts.wrong += left.length;
}

function isCovered(label: Span, found: readonly Span[]): boolean {
  let position = label.start;
  for (const { start, end } of found) if (start <= position && position < end) position = end;
  return position >= label.end;
}

/** Labels count code points. */
function toUtf16(text: string, { type, start, end }: Span): Span {
  const chars = Array.from(text);
  const before = chars.slice(0, start).join('').length;
  return { type, start: before, end: before + chars.slice(start, end).join('').length };
}

/** Precision, recall and F1 as parts of 1. */
export function rates({ hits, wrong, missed }: SpanCounts) {
  const precision = hits / (hits + wrong || 1);
  const recall = hits / (hits + missed || 1);
  return { precision, recall, f1: (2 * precision * recall) / (precision + recall || 1) };
}
