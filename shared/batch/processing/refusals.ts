import type { ErrorCode } from '../../errors.ts';

/**
 * Why nobody is served at the moment, which is no fault of the item: there is no room, or the
 * service itself may not ask. An endpoint that is away can also be one that this very item breaks:
 * that is a refusal only when nobody else got through meanwhile.
 */
export type Refusal = 'no room' | 'away';

/** What a code says of everybody; undefined where it is about the item alone. */
export function refusalOf(code: ErrorCode): Refusal | undefined {
  switch (code) {
    case 'upstream_rate_limited':
    case 'rate_limited':
    case 'budget_exhausted':
    case 'overloaded':
    case 'config_unavailable':
    case 'upstream_auth':
    case 'upstream_quota':
      return 'no room';
    case 'upstream_unavailable':
      return 'away';
    default:
      return undefined;
  }
}
