import { answers } from './cases/answers.ts';
import { clients } from './cases/clients.ts';
import { credentials } from './cases/credentials.ts';
import { rateLimits } from './cases/rate-limits.ts';
import { serverErrors } from './cases/server-errors.ts';
import { slow } from './cases/slow.ts';
import { streams } from './cases/streams.ts';
import { unreachable } from './cases/unreachable.ts';
import type { FaultFamily } from './fault-case.ts';

/** The whole wall, about in the order of the catalogue. */
export const FAMILIES: readonly FaultFamily[] = [
  rateLimits,
  serverErrors,
  unreachable,
  streams,
  slow,
  answers,
  credentials,
  clients,
];
