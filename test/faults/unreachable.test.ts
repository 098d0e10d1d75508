import { unreachable } from '../../dev/faults/cases/unreachable.ts';
import { describeFamily } from './support/describe-family.ts';

describeFamily(unreachable);
