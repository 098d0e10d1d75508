import type { Clock } from '../../clock.ts';
import { describeError } from '../../telemetry/describe-error.ts';
import type { Telemetry } from '../../telemetry/telemetry.ts';
import { ToolUnavailableError } from '../tool.ts';
import { type McpSession, McpSessionError, openMcpSession } from './mcp-session.ts';
import { type McpCredential, McpCredentialError } from './mcp-fetch.ts';

export interface McpConnectionOptions {
  /** The name in the settings. */
  readonly name: string;
  readonly url: string;
  /**
   * The current credential; `none` if the server requires none, `missing` if it requires one and
   * there is none.
   */
  readonly credential: () => McpCredential;
  /** Reads the credential again; true if it changed. */
  readonly refreshCredential: () => Promise<boolean>;
  readonly connectTimeoutMs: number;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

const FIRST_RETRY_MS = 1_000;
const MAX_RETRY_MS = 60_000;
/** A server that announces changes without end is listed this often at most. */
const MIN_LIST_INTERVAL_MS = 1_000;
/** Servers may keep no stream open on which they could announce a change. */
const LIST_TTL_MS = 300_000;

/** The session with one server, opened when it is first needed and again after it was lost. */
export interface McpConnection {
  /**
   * The current session, or a new one.
   * @throws ToolUnavailableError
   */
  acquire(): Promise<McpSession>;
  /** There is no session, and it is time to open one. */
  canOpen(): boolean;
  /** Lists the tools again if the last list is old, without waiting for it. */
  refreshIfOld(): void;
  /** The next call opens a new session. */
  drop(session: McpSession): void;
  /** False from a failed attempt to connect until a successful one. */
  isAvailable(): boolean;
  close(): Promise<void>;
}

type OnSession = (session: McpSession) => Promise<void>;

/** `onSession` lists the tools of a new session, and of one whose tools have changed. */
export function createMcpConnection(
  options: McpConnectionOptions,
  onSession: OnSession,
): McpConnection {
  let session: McpSession | undefined;
  let opening: Promise<McpSession> | undefined;
  let isClosed = false;
  const attempts = createAttempts(options);
  const refresh = createRefresh(async () => {
    if (session !== undefined) await onSession(session);
  }, options);

  async function open(): Promise<McpSession> {
    try {
      session = await openSession(options, { onSession, onToolsChanged: () => refresh.request() });
      attempts.succeed();
      refresh.noteListed();
      return session;
    } catch (thrown) {
      attempts.fail(thrown);
      throw unavailable(thrown);
    } finally {
      opening = undefined;
    }
  }

  return {
    async acquire() {
      if (session !== undefined) return session;
      if (isClosed || (opening === undefined && attempts.isWaiting())) throw unavailable();
      opening ??= open();
      return opening;
    },
    refreshIfOld: () => session !== undefined && refresh.requestIfOld(),
    canOpen: () => session === undefined && !isClosed && !attempts.isWaiting(),
    drop(dropped) {
      if (session === dropped) session = undefined;
      dropped.retire();
    },
    isAvailable: () => attempts.isAvailable(),
    async close() {
      isClosed = true;
      refresh.stop();
      await opening?.catch(() => undefined);
      await session?.close();
    },
  };
}

interface SessionListeners {
  readonly onSession: OnSession;
  readonly onToolsChanged: () => void;
}

/** A server that refuses the credential gets the current one, if it was replaced meanwhile. */
async function openSession(
  options: McpConnectionOptions,
  { onSession, onToolsChanged }: SessionListeners,
): Promise<McpSession> {
  const { url, credential, connectTimeoutMs: timeoutMs } = options;
  const open = async () => openMcpSession({ url, credential, timeoutMs, onToolsChanged });
  const session = await open().catch(async (thrown: unknown) => {
    const isRefused = thrown instanceof McpSessionError && thrown.failure === 'unauthorized';
    if (isRefused && (await options.refreshCredential())) return open();
    throw thrown;
  });
  try {
    await onSession(session);
    return session;
  } catch (thrown) {
    await session.close();
    throw thrown;
  }
}

/** What an operator has to look at. Fixed texts: the messages of a server are text from outside. */
function describeOutage(thrown: unknown): string {
  if (!(thrown instanceof McpSessionError)) return 'its tools cannot be listed';
  if (thrown.cause instanceof McpCredentialError) return 'its secret is missing';
  if (thrown.failure === 'unauthorized') return 'it refuses the credential';
  return thrown.status === undefined
    ? 'it does not answer, or not in the protocol'
    : `it answers with status ${thrown.status}`;
}

/** The attempts to connect: an outage is logged once, and the attempts become rarer. */
function createAttempts({ name: server, clock, telemetry }: McpConnectionOptions) {
  let failures = 0;
  let failedAt = 0;
  return {
    isAvailable: () => failures === 0,
    /** The distance in both directions: a clock that was set back must not extend the wait. */
    isWaiting(): boolean {
      const waitMs = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** (failures - 1));
      return failures > 0 && Math.abs(clock.now() - failedAt) < waitMs;
    },
    succeed(): void {
      if (failures > 0) telemetry.info('mcp server recovered', { server });
      failures = 0;
    },
    fail(thrown: unknown): void {
      const fields = { server, reason: describeOutage(thrown), cause: describeError(thrown) };
      if (failures === 0) telemetry.warn('mcp server unavailable', fields);
      failures += 1;
      failedAt = clock.now();
    },
  };
}

export function unavailable(cause?: unknown): ToolUnavailableError {
  return new ToolUnavailableError('Its server does not answer now', { cause });
}

/** Lists again after an announced change: once at a time, and with a pause between two lists. */
function createRefresh(run: () => Promise<void>, options: McpConnectionOptions) {
  const { name, clock, telemetry } = options;
  let timer: NodeJS.Timeout | undefined;
  let listedAt = 0;
  let lastAt = Number.NEGATIVE_INFINITY;
  async function runNow(): Promise<void> {
    try {
      await run();
    } catch (thrown) {
      telemetry.warn('mcp tools not listed', { server: name, cause: describeError(thrown) });
    } finally {
      lastAt = performance.now();
      timer = undefined;
      noteListed();
    }
  }
  function noteListed(): void {
    listedAt = clock.now();
  }
  function request(): void {
    const waitMs = Math.max(0, lastAt + MIN_LIST_INTERVAL_MS - performance.now());
    timer ??= setTimeout(() => void runNow(), waitMs).unref();
  }
  return {
    request,
    noteListed,
    requestIfOld(): void {
      if (Math.abs(clock.now() - listedAt) >= LIST_TTL_MS) request();
    },
    stop: () => clearTimeout(timer),
  };
}
