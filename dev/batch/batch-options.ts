import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { CliError } from '../cli-error.ts';

export const USAGE =
  'usage: npm run batch -- items.jsonl [--out results.jsonl] [--job ID] [--account NAME | --url URL [--key KEY] [--caller-key KEY]], or: npm run batch -- replay [NAME] [--account NAME]';

/** The job ids that the service accepts, without the characters that it adds. */
const JOB_ID = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,118}[A-Za-z0-9_-])?$/;

export interface BatchOptions {
  readonly input: string;
  readonly out: string;
  readonly jobId: string;
  /** The id was given on the command line, so the job may exist already. */
  readonly resumes: boolean;
  /** The URL of the app; without it the batch is sent over the queue. */
  readonly url: string | undefined;
  /** A storage account to reach by identity; without it by its connection string. */
  readonly account: string | undefined;
  readonly key: string | undefined;
  readonly callerKey: string | undefined;
}

/** Reads the command line of the batch client. */
export function readBatchOptions(argv: readonly string[]): BatchOptions {
  const { values, positionals } = parse(argv);
  const [input, ...more] = positionals;
  if (input === undefined || more.length > 0) {
    throw new CliError(`Cannot run a batch as one input file must be named; ${USAGE}`);
  }
  const jobId = values.job ?? newJobId();
  if (!JOB_ID.test(jobId)) {
    throw new CliError(
      `Cannot run a batch as '--job' must be up to 120 letters, digits, dots, dashes or underscores: current value is ${jobId}`,
    );
  }
  if (values.account !== undefined && values.url !== undefined) {
    throw new CliError(`Cannot run a batch with both '--account' and '--url'; ${USAGE}`);
  }
  return {
    input,
    out: values.out ?? `${input.replace(/\.jsonl$/, '')}.results.jsonl`,
    jobId,
    resumes: values.job !== undefined,
    url: readUrl(values.url),
    account: values.account,
    key: values.key,
    callerKey: values['caller-key'],
  };
}

export interface ReplayCommand {
  /** The dead letter to requeue; without it all of them are listed. */
  readonly name: string | undefined;
  readonly account: string | undefined;
}

/** The command `replay`; undefined for a batch. */
export function readReplayOptions(argv: readonly string[]): ReplayCommand | undefined {
  if (argv[0] !== 'replay') return undefined;
  const { values, positionals } = parse(argv.slice(1));
  if (positionals.length > 1) throw new CliError(`Cannot replay several letters at once; ${USAGE}`);
  return { name: positionals[0], account: values.account };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        out: { type: 'string' },
        job: { type: 'string' },
        account: { type: 'string' },
        url: { type: 'string' },
        key: { type: 'string' },
        'caller-key': { type: 'string' },
      },
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('. ')[0] : String(error);
    throw new CliError(`Cannot run a batch: ${reason}; ${USAGE}`, { cause: error });
  }
}

function readUrl(text: string | undefined): string | undefined {
  if (text === undefined || /^https?:$/.test(URL.parse(text)?.protocol ?? '')) return text;
  throw new CliError(
    `Cannot run a batch as '--url' must be an http(s) address: current value is ${text}`,
  );
}

function newJobId(): string {
  const time = new Date().toISOString().slice(0, 19).replaceAll(/\D/g, '');
  return `job-${time}-${randomBytes(3).toString('hex')}`;
}
