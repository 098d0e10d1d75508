import { credentials } from '../../dev/faults/cases/credentials.ts';
import { describeFamily } from './support/describe-family.ts';

describeFamily(credentials);
