import type { ServiceError } from '../errors.ts';
import { describeCause, describePlace } from '../telemetry/describe-error.ts';
import type { LogFields, Telemetry } from '../telemetry/telemetry.ts';
import { statusOf } from '../protocols/problem-details.ts';

export interface Failure {
  readonly message: string;
  readonly error: ServiceError;
  readonly fields?: LogFields;
}

/** One line for one failure, at the level of who must act. Defects also say where they happened. */
export function reportFailure(telemetry: Telemetry, { message, error, fields }: Failure): void {
  const { code, cause } = error;
  const known = { ...fields, code, cause: describeCause(cause) };
  if (code === 'internal') telemetry.error(message, { ...known, place: describePlace(cause) });
  else telemetry[statusOf(code) < 500 ? 'info' : 'warn'](message, known);
}
