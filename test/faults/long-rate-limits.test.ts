import { longRateLimits } from '../../dev/faults/cases/rate-limits.ts';
import { describeFamily } from './support/describe-family.ts';

describeFamily(longRateLimits);
