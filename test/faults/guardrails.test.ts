import { guardrails } from '../../dev/faults/cases/guardrails.ts';
import { describeFamily } from './support/describe-family.ts';

describeFamily(guardrails);
