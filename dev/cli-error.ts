/** A failure that the person at the terminal can act on: told in one line, without a stack. */
export class CliError extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'CliError';
  }
}

/** The text of a failure as one line of the terminal; only what nobody foresaw keeps its stack. */
export function describeCliError(thrown: unknown): string {
  if (thrown instanceof CliError) return thrown.message;
  if (thrown instanceof Error) return thrown.stack ?? thrown.message;
  return String(thrown);
}

/** The first line of any thrown value: many messages go on with what is of no use here. */
export function firstLine(thrown: unknown): string {
  const text = thrown instanceof Error ? thrown.message || thrown.name : String(thrown);
  return text.split('\n')[0] ?? text;
}
