import { conversations } from '../../dev/faults/cases/conversations.ts';
import { describeFamily } from './support/describe-family.ts';

describeFamily(conversations);
