export type LogLevel = 'trace' | 'debug' | 'information' | 'warning' | 'error' | 'critical';

export interface HostLogLine {
  readonly level: LogLevel;
  readonly category: string;
  readonly message: string;
}

/** Writes one line of the host's log. */
export type WriteLog = (level: LogLevel, category: string, message: string) => void;

const ORDER = ['trace', 'debug', 'information', 'warning', 'error', 'critical', 'none'] as const;

const LABELS: Record<LogLevel, string> = {
  trace: 'trce',
  debug: 'dbug',
  information: 'info',
  warning: 'warn',
  error: 'fail',
  critical: 'crit',
};

/** The category of what only the local host reports, such as a hang; no filter applies to it. */
export const LOCAL = 'Host.Local';

export interface LogFilter {
  /** Lowest level by category prefix, as in the logging section of host.json; the longest prefix wins. */
  readonly levels: Readonly<Record<string, string>>;
  readonly write: (line: HostLogLine) => void;
}

/** A log that honours the levels of host.json. */
export function createLog({ levels, write }: LogFilter): WriteLog {
  const thresholds = new Map<string, number>();
  return (level, category, message) => {
    let threshold = thresholds.get(category);
    if (threshold === undefined) {
      threshold = category === LOCAL ? 0 : thresholdOf(category, levels);
      thresholds.set(category, threshold);
    }
    if (ORDER.indexOf(level) >= threshold) write({ level, category, message });
  };
}

/** Prints a line for a person: errors to stderr, all else to stdout. */
export function printLine({ level, category, message }: HostLogLine): void {
  const target = level === 'error' || level === 'critical' ? process.stderr : process.stdout;
  target.write(`${LABELS[level]} ${category}: ${message}\n`);
}

function thresholdOf(category: string, levels: Readonly<Record<string, string>>): number {
  const prefix = Object.keys(levels)
    .filter((name) => category === name || category.startsWith(`${name}.`))
    .toSorted((a, b) => b.length - a.length)[0];
  const wanted = levels[prefix ?? 'default'] ?? 'Information';
  const index = ORDER.findIndex((name) => name === wanted.toLowerCase());
  return index < 0 ? ORDER.indexOf('information') : index;
}
