import { answers } from '../../dev/faults/cases/answers.ts';
import { describeFamily } from './support/describe-family.ts';

describeFamily(answers);
