import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { CliError, describeCliError } from './cli-error.ts';
import { createAzure } from './doctor/azure.ts';
import type { Section } from './doctor/box.ts';
import { AFTER_DEPLOYING } from './doctor/boxes/after-deploying.ts';
import { BEFORE_DEPLOYING } from './doctor/boxes/before-deploying.ts';
import { OPERATIONS } from './doctor/boxes/operations.ts';
import { SECURITY } from './doctor/boxes/security.ts';
import { createDeployment } from './doctor/deployment.ts';
import { runDoctor, summarise, toMarkdown, toTable } from './doctor/report.ts';
import { isMain, PROJECT_ROOT } from './project-root.ts';

/** Every box of the checklist, in its order. */
export const SECTIONS: readonly Section[] = [
  ...BEFORE_DEPLOYING,
  ...SECURITY,
  ...OPERATIONS,
  ...AFTER_DEPLOYING,
];

/** The page that `--markdown` writes. */
export const CHECKLIST = 'docs/checklist.md';

const USAGE = `npm run doctor -- [--url URL [--key KEY] [--token TOKEN]] [--azure] [--json | --markdown]
  --url       checks a running app too; the key is a function key, or DOCTOR_KEY; the token is one
              of Entra ID or a caller key, or DOCTOR_TOKEN
  --azure     checks the resources of a deployment by the Azure CLI
  --json      prints the results as JSON
  --markdown  writes ${CHECKLIST}
The exit code is 1 if a box fails.`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      url: { type: 'string' },
      key: { type: 'string' },
      token: { type: 'string' },
      azure: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      markdown: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return;
  }
  const deployment =
    values.url === undefined
      ? undefined
      : createDeployment(readUrl(values.url), {
          key: values.key ?? process.env['DOCTOR_KEY'],
          token: values.token ?? process.env['DOCTOR_TOKEN'],
        });
  const azure = values.azure ? await createAzure(process.env) : undefined;
  const isShown = process.stderr.isTTY && (deployment !== undefined || azure !== undefined);
  const results = await runDoctor(SECTIONS, {
    deployment,
    azure,
    ...(isShown && { onProgress: showProgress }),
  });
  if (isShown) process.stderr.write('\r\u001B[K');
  if (values.markdown) await writeFile(join(PROJECT_ROOT, CHECKLIST), toMarkdown(results));
  if (values.json) console.log(JSON.stringify(results, undefined, 2));
  else console.log(`${toTable(results)}\n\n${summarise(results)}`);
  if (results.some(({ state }) => state === 'fail')) process.exitCode = 1;
}

function readUrl(text: string): URL {
  if (!URL.canParse(text)) throw new CliError(`Cannot check as --url is no address: ${text}`);
  return new URL(text);
}

function showProgress(done: number, total: number): void {
  const filled = Math.round((20 * done) / total);
  process.stderr.write(`\r[${'#'.repeat(filled)}${'.'.repeat(20 - filled)}] ${done}/${total}`);
}

if (isMain(import.meta.filename)) {
  main().catch((error: unknown) => {
    console.error(describeCliError(error));
    process.exitCode = 1;
  });
}
