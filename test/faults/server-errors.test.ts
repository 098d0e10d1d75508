import { serverErrors } from '../../dev/faults/cases/server-errors.ts';
import { describeFamily } from './support/describe-family.ts';

describeFamily(serverErrors);
