import type { ErrorCode } from '../../errors.ts';

/**
 * Whether a code means that nobody is served at the moment, which is no fault of the item: there is
 * no room, or the service itself may not ask. An endpoint that is away can also be one that this
 * very item breaks: that counts only when nobody else got through meanwhile.
 */
export function isRefusal(code: ErrorCode): 'always' | 'when nobody got through' | 'never' {
  switch (code) {
    case 'upstream_rate_limited':
    case 'rate_limited':
    case 'budget_exhausted':
    case 'overloaded':
    case 'config_unavailable':
    case 'upstream_auth':
    case 'upstream_quota':
      return 'always';
    case 'upstream_unavailable':
      return 'when nobody got through';
    default:
      return 'never';
  }
}
