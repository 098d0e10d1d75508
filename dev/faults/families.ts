import { rateLimits } from './cases/rate-limits.ts';
import { serverErrors } from './cases/server-errors.ts';
import type { FaultFamily } from './fault-case.ts';

/** The whole wall, in the order of the catalogue. */
export const FAMILIES: readonly FaultFamily[] = [rateLimits, serverErrors];
