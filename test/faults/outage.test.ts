import { outage, SHORT_OUTAGE } from '../../dev/faults/cases/outage.ts';
import { describeFamily } from './support/describe-family.ts';

describeFamily(outage(SHORT_OUTAGE));
