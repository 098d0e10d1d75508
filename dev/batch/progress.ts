const BAR_WIDTH = 30;
/** Where nobody can see a bar move, a line now and then must do. */
const PLAIN_INTERVAL_MS = 2_000;

export interface ProgressState {
  readonly done: number;
  readonly total: number;
  readonly elapsedMs: number;
}

export interface ProgressOutput {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

/** Shows how far a batch is: a bar that moves on a terminal, plain lines elsewhere. */
export interface Progress {
  show(state: ProgressState): void;
  /** Leaves the line, so that whatever comes next starts on its own. */
  finish(): void;
}

export function createProgress(output: ProgressOutput): Progress {
  let shownAt = Number.NEGATIVE_INFINITY;
  let shownDone = -1;
  if (output.isTTY !== true) {
    return {
      show(state) {
        const isDue = state.elapsedMs - shownAt >= PLAIN_INTERVAL_MS || state.done === state.total;
        if (!isDue || state.done === shownDone) return;
        shownAt = state.elapsedMs;
        shownDone = state.done;
        output.write(`${describeProgress(state)}\n`);
      },
      finish: () => undefined,
    };
  }
  return {
    show(state) {
      const line = `${renderBar(state)} ${describeProgress(state)}`;
      // Longer than the terminal it would wrap, and the next one could not overwrite it.
      output.write(`\r\u001B[K${line.slice(0, (output.columns ?? 80) - 1)}`);
    },
    finish() {
      output.write('\n');
    },
  };
}

/** `12 of 25 (48 %), 6.0/s, 3 s left`; without rate and rest while nothing is done yet. */
export function describeProgress({ done, total, elapsedMs }: ProgressState): string {
  const percent = total === 0 ? 100 : Math.floor((done / total) * 100);
  const text = `${done} of ${total} (${percent} %)`;
  if (done === 0 || elapsedMs <= 0) return text;
  const rate = done / (elapsedMs / 1_000);
  const rest = done === total ? '' : `, ${describeSeconds((total - done) / rate)} left`;
  return `${text}, ${rate.toFixed(1)}/s${rest}`;
}

/** A bar that is full only when everything is done. */
export function renderBar({ done, total }: ProgressState): string {
  const filled = total === 0 ? BAR_WIDTH : Math.floor((done / total) * BAR_WIDTH);
  return `[${'#'.repeat(filled)}${'.'.repeat(BAR_WIDTH - filled)}]`;
}

/** Seconds as people say them: `4 s`, `2 min 5 s`, `1 h 3 min`. */
export function describeSeconds(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3_600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3_600)} h ${Math.floor((whole % 3_600) / 60)} min`;
}
