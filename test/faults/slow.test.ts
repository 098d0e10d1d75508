import { slow } from '../../dev/faults/cases/slow.ts';
import { describeFamily } from './support/describe-family.ts';

describeFamily(slow);
