/** An error that a user can correct: printed as one line, without a stack. */
export class CliError extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'CliError';
  }
}

/** The text of an error for the terminal; only an unexpected error has its stack. */
export function describeCliError(thrown: unknown): string {
  if (thrown instanceof CliError) return thrown.message;
  if (thrown instanceof Error) return thrown.stack ?? thrown.message;
  return String(thrown);
}

/** The first line of any thrown value: further lines of many messages do not help. */
export function firstLine(thrown: unknown): string {
  const text = thrown instanceof Error ? thrown.message || thrown.name : String(thrown);
  return text.split('\n')[0] ?? text;
}
