import { safeCode } from './error-body.ts';
import { StaleConnectionError } from '../transport.ts';
import { UpstreamCause, UpstreamFailure } from '../upstream-failure.ts';

const MAX_CHAIN = 5;

/** No answer at all: refused, reset, no such host, TLS. The texts of such errors name addresses. */
export function mapTransportError(thrown: unknown): UpstreamFailure {
  return new UpstreamFailure('upstream_unavailable', 'The model cannot be reached', {
    remedy: 'later',
    unhealthy: !(thrown instanceof StaleConnectionError),
    cause: new UpstreamCause('Upstream could not be reached', { code: findCode(thrown) }),
  });
}

/** The request could not even be built: an address or a credential that is none. */
export function misconfigured(reason: string): UpstreamFailure {
  const message = 'The model endpoint is not set up as the service expects';
  return new UpstreamFailure('upstream_misconfigured', message, {
    remedy: 'elsewhere',
    unhealthy: false,
    cause: new UpstreamCause(reason),
  });
}

/** The system's word for the failure, such as ECONNREFUSED, which libraries may wrap. */
function findCode(thrown: unknown): string | undefined {
  let current: unknown = thrown;
  for (let depth = 0; depth < MAX_CHAIN && current instanceof Error; depth += 1) {
    const code = 'code' in current ? safeCode(current.code) : undefined;
    if (code !== undefined) return code;
    current = current.cause;
  }
  return undefined;
}
