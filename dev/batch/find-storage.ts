import { CliError } from '../cli-error.ts';
import { readSettingsFile } from '../start/local-settings.ts';
import { readStartRecord } from '../start/start-record.ts';

const NAME = 'AzureWebJobsStorage';

/**
 * The storage connection of the app: from the environment, else from a running `npm start`, which
 * may have started an emulator, else from local.settings.json.
 */
export async function findStorage(
  root: string,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<string> {
  const found =
    nonEmpty(environment[NAME]) ??
    nonEmpty((await readStartRecord(root))?.storage) ??
    nonEmpty(readSettingsFile(root)[NAME]);
  if (found !== undefined) return found;
  throw new CliError(
    `Cannot find the storage of the app: run 'npm start' in another shell, or set ${NAME}`,
  );
}

function nonEmpty(value: string | undefined): string | undefined {
  return value === undefined || value.trim() === '' ? undefined : value;
}
