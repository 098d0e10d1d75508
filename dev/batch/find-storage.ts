import type { StorageConnection } from '../../shared/storage/azure/storage-timeouts.ts';
import { CliError } from '../cli-error.ts';
import { requireConnectionString } from '../require-connection-string.ts';
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

interface StorageSource {
  readonly root: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** A storage account that the login of the operator may use, instead of a connection string. */
  readonly account: string | undefined;
}

/**
 * The storage of the app: the named account by identity, or else the connection string that
 * `findStorage` finds.
 * @throws CliError for a name that is no account, or without any storage
 */
export async function openStorage(source: StorageSource): Promise<StorageConnection> {
  const { root, environment, account } = source;
  if (account === undefined) {
    const connectionString = await findStorage(root, environment);
    requireConnectionString(connectionString);
    return { kind: 'connectionString', connectionString };
  }
  if (!/^[a-z0-9]{3,24}$/.test(account)) {
    throw new CliError(
      `Cannot use '--account' as it must be the name of a storage account, 3 to 24 lower-case letters and digits: current value is ${account}`,
    );
  }
  const { DefaultAzureCredential } = await import('@azure/identity');
  const suffix = environment['AZURE_STORAGE_SUFFIX'] ?? 'core.windows.net';
  return {
    kind: 'identity',
    blobUri: `https://${account}.blob.${suffix}`,
    queueUri: `https://${account}.queue.${suffix}`,
    credential: new DefaultAzureCredential(),
  };
}

function nonEmpty(value: string | undefined): string | undefined {
  return value === undefined || value.trim() === '' ? undefined : value;
}
