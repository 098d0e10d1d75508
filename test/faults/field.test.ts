import { field } from '../../dev/faults/cases/field.ts';
import { describeFamily } from './support/describe-family.ts';

describeFamily(field);
