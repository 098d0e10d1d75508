import { QueueServiceClient } from '@azure/storage-queue';
import type { QueueClient } from '@azure/storage-queue';
import { z } from 'zod';
import { startAzurite } from '../../../../dev/azurite.ts';
import { startFixture } from './fixture-host.ts';
import type { FixtureHost } from './fixture-host.ts';
import { waitUntil } from './wait-until.ts';

const tellSchema = z.object({
  what: z.string(),
  functionName: z.string(),
  triggerMetadata: z.record(z.string(), z.unknown()),
  message: z.unknown(),
  inWork: z.number().optional(),
});
export type Tell = z.infer<typeof tellSchema>;

/** The app of the queues on queues of its own, of which only `jobs` exists at first. */
export interface QueueEnvironment {
  readonly host: FixtureHost;
  readonly jobs: QueueClient;
  readonly poison: QueueClient;
  readonly copies: QueueClient;
  readonly returning: QueueClient;
  /** What the functions have reported, in order. */
  told(what: string): Tell[];
  /** Waits for that many calls. */
  untilTold(what: string, count?: number): Promise<Tell[]>;
}

/** A storage emulator, and as many worlds on it as tests want. */
export interface QueueWorlds {
  readonly service: QueueServiceClient;
  start(
    settings?: Readonly<Record<string, string>>,
    options?: Parameters<typeof startFixture>[1],
  ): Promise<QueueEnvironment>;
  stop(): Promise<void>;
}

export async function openQueueWorlds(): Promise<QueueWorlds> {
  const azurite = await startAzurite();
  const service = QueueServiceClient.fromConnectionString(azurite.connectionString);
  let round = 0;
  return {
    service,
    stop: () => azurite.stop(),
    async start(settings = {}, options = {}) {
      round += 1;
      const names = {
        JOBS: `jobs-${round}`,
        COPIES: `copies-${round}`,
        RETURNING: `returning-${round}`,
        ...settings,
      };
      const queue = (name: string): QueueClient => service.getQueueClient(name);
      await queue(names.JOBS).createIfNotExists();
      const host = await startFixture('queues', {
        ...options,
        environment: { Storage: azurite.connectionString, ...names },
      });
      const told = (what: string): Tell[] => tellsOf(host).filter((tell) => tell.what === what);
      return {
        host,
        jobs: queue(names.JOBS),
        poison: queue(`${names.JOBS}-poison`),
        copies: queue(names.COPIES),
        returning: queue(names.RETURNING),
        told,
        untilTold: (what, count = 1) =>
          waitUntil(() => told(what).length >= count && told(what), `${count} calls: ${what}`),
      };
    },
  };
}

/** Waits until a queue holds no message, visible or not. */
export async function untilGone(queue: QueueClient): Promise<void> {
  await waitUntil(
    async () => (await queue.getProperties()).approximateMessagesCount === 0,
    `${queue.name} empty`,
  );
}

/** Takes the texts of so many messages. */
export async function collect(queue: QueueClient, count: number): Promise<string[]> {
  const texts: string[] = [];
  await waitUntil(async () => {
    if (!(await queue.exists())) return false;
    const { receivedMessageItems } = await queue.receiveMessages({ numberOfMessages: 32 });
    texts.push(...receivedMessageItems.map(({ messageText }) => messageText));
    return texts.length >= count;
  }, `${count} messages in ${queue.name}`);
  return texts;
}

function tellsOf(host: FixtureHost): Tell[] {
  return host.lines
    .filter(({ category }) => category === 'Host.Function.Console')
    .flatMap(({ message }) =>
      message.startsWith('{') ? [tellSchema.parse(JSON.parse(message))] : [],
    );
}
