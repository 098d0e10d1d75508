import { streams } from '../../dev/faults/cases/streams.ts';
import { describeFamily } from './support/describe-family.ts';

describeFamily(streams);
