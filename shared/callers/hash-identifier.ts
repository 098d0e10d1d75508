import { hash } from 'node:crypto';

/** A caller as the stores know it: no address, name or pattern of theirs ever reaches Redis. */
export function hashIdentifier(callerId: string): string {
  return hash('sha256', callerId, 'base64url');
}
