import type { TokenCredential } from '@azure/identity';
import type { Agent, AgentInput, InputSize } from '../agent/agent.ts';
import type { Clock } from '../clock.ts';
import { type Settings, storageSettings } from '../config/read-config.ts';
import { ServiceError } from '../errors.ts';
import { createBackgroundStart } from '../http/background-chat.ts';
import type { RunConversations } from '../runs/run-agent.ts';
import type { RateLimiter } from '../rate-limit/rate-limiter.ts';
import { type Runs, toRunMessage } from '../runs/create-runs.ts';
import { RUN_CONTAINER, RUN_QUEUE } from '../runs/storage-names.ts';
import type { StorageTimeouts } from '../storage/azure/storage-timeouts.ts';
import type { TextEncryption } from '../storage/text-encryption.ts';
import type { MetricsRegistry } from '../telemetry/metrics-registry.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { createBackgroundBudget } from './access.ts';
import { registerRunGauges } from './health.ts';
import { memoize } from './secrets.ts';

interface RunsWiring {
  readonly metrics: MetricsRegistry;
  readonly agent: Agent;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly settings: Settings;
  readonly credential: () => Promise<TokenCredential>;
  readonly limiter: RateLimiter;
  readonly measure: (input: AgentInput) => InputSize;
  readonly encryption: TextEncryption;
  readonly conversations: () => Promise<RunConversations>;
}

/** Stored runs. They are created, and the storage client is loaded, for the first of them. */
export function createLazyRuns(parts: RunsWiring) {
  return memoize(async () => {
    const runs = await createRunsFromSettings(parts);
    registerRunGauges(parts.metrics, runs);
    return runs;
  });
}

/** The time for which responses are kept, with and without a background run. */
function responseRetentionOf({ runs, sessions }: Settings) {
  return {
    backgroundMs: runs.retentionHours * 3_600_000,
    storedMs: sessions.retentionDays * 86_400_000,
  };
}

/** What the routes need of stored runs. */
export function runRoutesOf(
  settings: Settings,
  { runs, sessions }: Pick<Parameters<typeof createBackgroundStart>[0], 'runs' | 'sessions'>,
) {
  const responseRetention = responseRetentionOf(settings);
  const keptMs = responseRetention.backgroundMs;
  const startInBackground = createBackgroundStart({ runs, keptMs, sessions });
  return { runs, responseRetention, startInBackground };
}

async function createRunsFromSettings(parts: RunsWiring): Promise<Runs> {
  const { settings } = parts;
  const place = storageSettings(settings);
  if (place === undefined) {
    throw new ServiceError(
      'config_unavailable',
      'Cannot store runs: AzureWebJobsStorage must be set',
    );
  }
  const connection =
    place.kind === 'identity' ? { ...place, credential: await parts.credential() } : place;
  const [{ createAzureBlobContainer }, { createAzureQueue }, { createRuns }, storageTimeouts] =
    await Promise.all([
      import('../storage/azure/azure-blob-container.ts'),
      import('../storage/azure/azure-queue.ts'),
      import('../runs/create-runs.ts'),
      import('../storage/azure/storage-timeouts.ts'),
    ]);
  const { telemetry, clock, agent, encryption } = parts;
  const { BACKGROUND_TIMEOUTS, requestTimeouts } = storageTimeouts;
  const open = (timeouts: StorageTimeouts) =>
    createAzureBlobContainer({ connection, container: RUN_CONTAINER, telemetry, timeouts });
  const queue = createAzureQueue({ connection, queue: RUN_QUEUE });
  const { runs, limits } = settings;
  return createRuns({
    agent,
    clock,
    telemetry,
    encryption,
    conversations: await parts.conversations(),
    queue: {
      send: (ref, options) => queue.send(toRunMessage(ref), options),
      receive: (max, hiddenSeconds) => queue.receive(max, { hiddenSeconds }),
    },
    container: open(BACKGROUND_TIMEOUTS),
    requestContainer: open(requestTimeouts(limits.answerDeadlineMs)),
    // The request that started the run is counted already.
    reserve: createBackgroundBudget(parts, { isCounted: false }),
    maxRunMs: runs.maxMinutes * 60_000,
    sliceMs: runs.sliceMs,
    // A step that starts at the end of the slice has the time of a stream.
    deliveryMs: runs.sliceMs + limits.streamDeadlineMs,
  });
}
