import { batchCallers } from '../../dev/faults/cases/batch-callers.ts';
import { describeFamily } from './support/describe-family.ts';

describeFamily(batchCallers);
