import { hostileCallers } from '../../dev/faults/cases/hostile-callers.ts';
import { describeFamily } from './support/describe-family.ts';

describeFamily(hostileCallers);
