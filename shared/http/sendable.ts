import { validateHeaderName, validateHeaderValue } from 'node:http';
import type { PlainResponse } from './responses.ts';

/**
 * The response itself, when it can be written to a socket. The platform does not answer at all when
 * it finds that out later.
 * @throws RangeError or TypeError
 */
export function sendable(response: PlainResponse): PlainResponse {
  const { status = 200, headers = {} } = response;
  if (!Number.isInteger(status) || status < 200 || status > 599) {
    throw new RangeError(
      `Cannot answer as 'status' must be a whole number from 200 to 599: current value is ${status}`,
    );
  }
  for (const [name, value] of Object.entries(headers)) {
    validateHeaderName(name);
    validateHeaderValue(name, value);
  }
  return response;
}
