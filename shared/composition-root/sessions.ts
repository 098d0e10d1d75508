import type { TokenCredential } from '@azure/identity';
import { memoize } from './secrets.ts';
import { textOf } from '../agent/model-request.ts';
import type { Message } from '../agent/agent.ts';
import type { Clock } from '../clock.ts';
import { type Settings, storageSettings } from '../config/read-config.ts';
import { VARIABLES } from '../config/variables.ts';
import { ServiceError } from '../errors.ts';
import { estimateTokens } from '../rate-limit/reservation.ts';
import type { Secrets } from '../secrets/secrets.ts';
import { createRunConversations } from '../http/background-conversations.ts';
import type { Runs } from '../runs/create-runs.ts';
import type { RunConversations } from '../runs/run-agent.ts';
import {
  type BackgroundSessions,
  createBackgroundSessions,
} from '../sessions/background-sessions.ts';
import { createChatSessions, type ChatSessions } from '../sessions/chat-sessions.ts';
import {
  CONVERSATION_CONTAINER,
  createConversationStore,
  type ConversationStore,
} from '../sessions/conversation-store.ts';
import {
  createIdempotencyStore,
  IDEMPOTENCY_CONTAINER,
  type IdempotencyStore,
} from '../idempotency/idempotency-store.ts';
import type { BlobContainer } from '../storage/blob-container.ts';
import { createTextEncryption, type TextEncryption } from '../storage/text-encryption.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

/**
 * The encryption of stored texts by the current keys. Nothing is stored unencrypted while the vault
 * may have keys that cannot be read.
 */
export function createHistoryEncryption(settings: Settings, secrets: Secrets): TextEncryption {
  const { vaultName } = VARIABLES.historyEncryptionKey;
  return createTextEncryption({
    read() {
      const list = secrets.get(vaultName);
      if (list !== undefined || settings.azureKeyVaultUrl === undefined) return list;
      const reason = secrets.missingReason(vaultName);
      if (reason === 'absent') return undefined;
      throw new ServiceError(
        'config_unavailable',
        `Cannot read the secret ${vaultName}: ${reason ?? 'not loaded yet'}`,
      );
    },
  });
}

interface HistoryDependencies {
  readonly settings: Settings;
  readonly encryption: TextEncryption;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly credential: () => Promise<TokenCredential>;
  readonly runs: () => Promise<Runs>;
}

/** What storage keeps of runs, loaded when it is first used. */
export interface History {
  /** @throws ServiceError config_unavailable if no storage is configured */
  conversations(): Promise<ConversationStore>;
  /** Undefined if no storage is configured, or if sessions are off. */
  readonly sessions?: (() => Promise<ChatSessions>) | undefined;
  /** The sessions of runs in the background; undefined in the same cases. */
  readonly backgroundSessions?: (() => Promise<BackgroundSessions>) | undefined;
  /** What runs in the background do with conversations and sessions. */
  runConversations(): Promise<RunConversations>;
  /** Undefined if no storage is configured. */
  readonly idempotency?: (() => Promise<IdempotencyStore>) | undefined;
}

export function createHistory(dependencies: HistoryDependencies): History {
  const { settings, encryption, clock } = dependencies;
  const open = memoize(() => openStorage(dependencies));
  const idempotency = memoize(async () => {
    const container = (await open())(IDEMPOTENCY_CONTAINER);
    return createIdempotencyStore({ container, encryption, clock });
  });
  const { enabled, retentionDays, maxHistoryTokens: maxTokens } = settings.sessions;
  const { summarize: isSummarized } = settings.sessions;
  const conversations = memoize(async () => {
    const container = (await open())(CONVERSATION_CONTAINER);
    return createConversationStore({
      container,
      encryption,
      retentionDays,
      clock,
      async endActiveRun({ owner }, id) {
        return (await dependencies.runs()).service.endConversation({ owner, id });
      },
    });
  });
  const options = async () => ({
    store: await conversations(),
    clock,
    maxTokens,
    estimate,
    isSummarized,
  });
  const sessions = memoize(async () => createChatSessions(await options()));
  const backgroundSessions = memoize(async () => createBackgroundSessions(await options()));
  const runConversations = memoize(() =>
    createRunConversations({ conversations, sessions: backgroundSessions }),
  );
  if (storageSettings(settings) === undefined) return { conversations, runConversations };
  return {
    conversations,
    runConversations,
    idempotency,
    ...(enabled ? { sessions, backgroundSessions } : {}),
  };
}

function estimate(message: Message): number {
  return estimateTokens({ texts: [textOf(message)], maxOutputTokens: 0 });
}

async function openStorage({
  settings,
  telemetry,
  credential,
}: HistoryDependencies): Promise<(container: string) => BlobContainer> {
  const place = storageSettings(settings);
  if (place === undefined) {
    throw new ServiceError(
      'config_unavailable',
      'Cannot store conversations: AzureWebJobsStorage must be set',
    );
  }
  const [{ createAzureBlobContainer }, { requestTimeouts }] = await Promise.all([
    import('../storage/azure/azure-blob-container.ts'),
    import('../storage/azure/storage-timeouts.ts'),
  ]);
  const connection =
    place.kind === 'identity' ? { ...place, credential: await credential() } : place;
  const timeouts = requestTimeouts(settings.limits.answerDeadlineMs);
  return (container) => createAzureBlobContainer({ connection, container, telemetry, timeouts });
}
