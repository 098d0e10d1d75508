import { answers } from './cases/answers.ts';
import { batchCallers } from './cases/batch-callers.ts';
import { clients } from './cases/clients.ts';
import { hostileCallers } from './cases/hostile-callers.ts';
import { conversations } from './cases/conversations.ts';
import { guardrails } from './cases/guardrails.ts';
import { credentials } from './cases/credentials.ts';
import { FULL_OUTAGE, outage, SHORT_OUTAGE } from './cases/outage.ts';
import { FEW_RANDOM_FAULTS, MANY_RANDOM_FAULTS, randomFaults } from './cases/random-faults.ts';
import { field } from './cases/field.ts';
import { longRateLimits, rateLimits } from './cases/rate-limits.ts';
import { refusedRequests } from './cases/refused-requests.ts';
import { serverErrors } from './cases/server-errors.ts';
import { sharedClocks } from './cases/shared-clocks.ts';
import { slow } from './cases/slow.ts';
import { streams } from './cases/streams.ts';
import { unreachable } from './cases/unreachable.ts';
import type { FaultFamily } from './fault-case.ts';

/** All families, about in the order of docs/faults.md; `isFull` makes the last two take minutes. */
export function listFamilies({ isFull }: { readonly isFull: boolean }): readonly FaultFamily[] {
  return [
    ...FAMILIES,
    outage(isFull ? FULL_OUTAGE : SHORT_OUTAGE),
    randomFaults(isFull ? MANY_RANDOM_FAULTS : FEW_RANDOM_FAULTS),
  ];
}

const FAMILIES: readonly FaultFamily[] = [
  rateLimits,
  longRateLimits,
  serverErrors,
  unreachable,
  streams,
  slow,
  answers,
  credentials,
  field,
  clients,
  conversations,
  guardrails,
  hostileCallers,
  batchCallers,
  refusedRequests,
  sharedClocks,
];
