import { FEW_RANDOM_FAULTS, randomFaults } from '../../dev/faults/cases/random-faults.ts';
import { describeFamily } from './support/describe-family.ts';

describeFamily(randomFaults(FEW_RANDOM_FAULTS));
