import { clients } from '../../dev/faults/cases/clients.ts';
import { describeFamily } from './support/describe-family.ts';

describeFamily(clients);
