const BAR_WIDTH = 30;
/** Interval of plain lines, for output that is not a terminal. */
const PLAIN_INTERVAL_MS = 2_000;
/** Interval of plain lines while only the reason for waiting changes. */
const PLAIN_NOTE_INTERVAL_MS = 30_000;

export interface ProgressState {
  readonly done: number;
  /** Items of these that failed. */
  readonly failed: number;
  readonly total: number;
  readonly elapsedMs: number;
  /** Undefined while no item finishes. */
  readonly perSecond: number | undefined;
  /** Why the batch waits, if it does. */
  readonly note: string | undefined;
}

export interface ProgressOutput {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

/** Shows the progress of a batch: a bar on a terminal, plain lines elsewhere. */
export interface Progress {
  show(state: ProgressState): void;
  /** Ends the current line of the bar. */
  finish(): void;
}

export function createProgress(output: ProgressOutput): Progress {
  return output.isTTY === true ? createBar(output) : createLines(output);
}

function createBar(output: ProgressOutput): Progress {
  let isShown = false;
  return {
    show(state) {
      isShown = true;
      const line = `${renderBar(state)} ${describeProgress(state)}`;
      // A line longer than the terminal would wrap, and the next one could not overwrite it.
      output.write(`\r\u001B[K${line.slice(0, (output.columns ?? 80) - 1)}`);
    },
    finish() {
      if (isShown) output.write('\n');
    },
  };
}

function createLines(output: ProgressOutput): Progress {
  let shownAt = Number.NEGATIVE_INFINITY;
  let shown: ProgressState | undefined;
  return {
    show(state) {
      const { done, total, note, elapsedMs } = state;
      const isNew = done !== shown?.done || (note !== undefined && shown.note === undefined);
      const interval = isNew ? PLAIN_INTERVAL_MS : PLAIN_NOTE_INTERVAL_MS;
      const isDue = elapsedMs - shownAt >= interval || (isNew && done === total);
      if (!isDue || (!isNew && note === undefined)) return;
      shownAt = elapsedMs;
      shown = state;
      output.write(`${describeProgress(state)}\n`);
    },
    finish: () => undefined,
  };
}

/** `12 of 25 (48 %), 2 failed, 6.0/s, 3 s left`; a note replaces the rate. */
export function describeProgress(state: ProgressState): string {
  const { done, failed, total, perSecond, note } = state;
  const percent = total === 0 ? 100 : Math.floor((done / total) * 100);
  const parts = [`${done} of ${total} (${percent} %)`];
  if (failed > 0) parts.push(`${failed} failed`);
  if (note !== undefined) return [...parts, note].join(', ');
  if (done === total || perSecond === undefined) return parts.join(', ');
  const left = describeSeconds((total - done) / perSecond);
  return [...parts, `${perSecond.toFixed(1)}/s`, `${left} left`].join(', ');
}

/** The bar is full only when every item is done. */
export function renderBar({ done, total }: Pick<ProgressState, 'done' | 'total'>): string {
  const filled = total === 0 ? BAR_WIDTH : Math.floor((done / total) * BAR_WIDTH);
  return `[${'#'.repeat(filled)}${'.'.repeat(BAR_WIDTH - filled)}]`;
}

/** `4 s`, `2 min 5 s`, `1 h 3 min`. */
export function describeSeconds(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3_600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3_600)} h ${Math.floor((whole % 3_600) / 60)} min`;
}
