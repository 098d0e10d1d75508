/** debug: developers; info: the record of what happened; warn: look this week; error: somebody must act. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Values beside the static message: flat, small, never a prompt, an answer or a secret. */
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** How the rooms tell operators what happens. */
export interface Telemetry {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** The same telemetry with fields added to each line, such as the request id. */
  with(fields: LogFields): Telemetry;
}
