import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { PlainFailure } from '../plain-failure.ts';

export const USAGE =
  'usage: npm run batch -- items.jsonl [--out results.jsonl] [--job ID] [--items-per-message N]';

/** As the service wants it, with room for the number of a message behind it. */
const JOB_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,119}$/;
const MAX_ITEMS_PER_MESSAGE = 10_000;

export interface BatchOptions {
  readonly input: string;
  readonly out: string;
  readonly jobId: string;
  readonly itemsPerMessage: number | undefined;
}

/** Reads the command line of the batch client. */
export function readBatchOptions(argv: readonly string[]): BatchOptions {
  const { values, positionals } = parse(argv);
  const [input, ...more] = positionals;
  if (input === undefined || more.length > 0) {
    throw new PlainFailure(`Cannot run a batch as one input file must be named; ${USAGE}`);
  }
  const jobId = values.job ?? newJobId();
  if (!JOB_ID.test(jobId)) {
    throw new PlainFailure(
      `Cannot run a batch as '--job' must be up to 120 letters, digits, dots, dashes or underscores: current value is ${jobId}`,
    );
  }
  return {
    input,
    out: values.out ?? `${input.replace(/\.jsonl$/, '')}.results.jsonl`,
    jobId,
    itemsPerMessage: readCount(values['items-per-message']),
  };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        out: { type: 'string' },
        job: { type: 'string' },
        'items-per-message': { type: 'string' },
      },
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('. ')[0] : String(error);
    throw new PlainFailure(`Cannot run a batch: ${reason}; ${USAGE}`, { cause: error });
  }
}

function readCount(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const count = Number(text);
  if (/^\d+$/.test(text) && count >= 1 && count <= MAX_ITEMS_PER_MESSAGE) return count;
  throw new PlainFailure(
    `Cannot run a batch as '--items-per-message' must be a whole number from 1 to ${MAX_ITEMS_PER_MESSAGE}: current value is ${text}`,
  );
}

function newJobId(): string {
  const time = new Date().toISOString().slice(0, 19).replaceAll(/\D/g, '');
  return `job-${time}-${randomBytes(3).toString('hex')}`;
}
