import { withAmount, type Claim } from './reservation.ts';
import type { Reservation } from './rate-limiter.ts';

export interface ReservationOptions {
  readonly localClaims: readonly Claim[];
  readonly sharedClaims: readonly Claim[];
  readonly correctLocal: (claims: readonly Claim[]) => Promise<void>;
  readonly correctShared: (claims: readonly Claim[]) => Promise<void>;
}

/** Remembers what was taken where, until somebody says what was used of it. */
export function createReservation(options: ReservationOptions): Reservation {
  const { localClaims, sharedClaims, correctLocal, correctShared } = options;
  let open = true;

  async function settle(used: number): Promise<void> {
    if (!open) return;
    open = false;
    await Promise.all([
      correctLocal(differences(localClaims, used)),
      correctShared(differences(sharedClaims, used)),
    ]);
  }

  return { settle, refund: () => settle(0) };
}

/** Only tokens are corrected: a request that failed was still a request. */
function differences(claims: readonly Claim[], used: number): Claim[] {
  const tokens = Number.isFinite(used) ? Math.max(0, Math.ceil(used)) : undefined;
  return claims
    .filter(({ policy }) => policy.unit === 'tokens')
    .map((claim) => withAmount(claim, (tokens ?? claim.amount) - claim.amount))
    .filter(({ amount }) => amount !== 0);
}
