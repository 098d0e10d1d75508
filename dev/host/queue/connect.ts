import { QueueServiceClient } from '@azure/storage-queue';
import type { QueueClient } from '@azure/storage-queue';
import { CliError } from '../../cli-error.ts';
import type { QueueBinding } from '../app-functions.ts';

/** Finds the queue of a binding, by the name of its connection setting. */
export type FindQueue = (binding: QueueBinding) => QueueClient;

/** Suffixes of settings that name an account without a secret: for an identity, which only Azure has. */
const IDENTITY_SUFFIXES = ['queueserviceuri', 'serviceuri', 'accountname'];

/** Resolves connection names against the settings of the app, as the platform does. */
export function connectQueues(environment: Readonly<Record<string, string>>): FindQueue {
  const settings = new Map(
    Object.entries(environment).map(([name, value]) => [name.toLowerCase(), value]),
  );
  const services = new Map<string, QueueServiceClient>();
  return ({ connection, queueName }) => {
    let service = services.get(connection);
    if (service === undefined) {
      service = createService(connection, settings);
      services.set(connection, service);
    }
    return service.getQueueClient(queueName);
  };
}

function createService(
  connection: string,
  settings: ReadonlyMap<string, string>,
): QueueServiceClient {
  const name = connection.toLowerCase();
  const text = settings.get(`azurewebjobs${name}`) ?? settings.get(name);
  if (text === undefined || text.trim() === '') throw missing(connection, settings);
  try {
    // One more try, as storage may have closed a kept connection just now. The listener waits for a
    // storage that is away, and the client must not hide that.
    const retryOptions = { maxTries: 2, retryDelayInMs: 20 };
    return QueueServiceClient.fromConnectionString(text, { retryOptions });
  } catch (error) {
    // The reason may quote the text, which may hold a key.
    throw new CliError(
      `Cannot start as the setting '${connection}' must be a storage connection string: it is not`,
      { cause: error },
    );
  }
}

function missing(connection: string, settings: ReadonlyMap<string, string>): CliError {
  const name = connection.toLowerCase();
  const identity = IDENTITY_SUFFIXES.find((suffix) => settings.has(`${name}__${suffix}`));
  if (identity === undefined) {
    return new CliError(
      `Cannot start as the setting '${connection}' must be a storage connection string: it is not set`,
    );
  }
  return new CliError(
    `Cannot start as the setting '${connection}' must be a storage connection string on this machine: '${connection}__${identity}' asks for an identity, which only Azure has`,
  );
}
