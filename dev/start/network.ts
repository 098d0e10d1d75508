import { createServer, connect } from 'node:net';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { CliError } from '../cli-error.ts';

const LOOPBACK = '127.0.0.1';

/** Fails with one line if a port is in use, before anything else starts. */
export async function requireFreePort(port: number): Promise<void> {
  const server = createServer();
  try {
    server.listen(port, LOOPBACK);
    await once(server, 'listening');
  } catch (error) {
    throw portFailure(error, port);
  }
  server.close();
  await once(server, 'close');
}

/** The error of one line for a port that is not available; any other error stays unchanged. */
export function portFailure(error: unknown, port: number): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'EADDRINUSE') {
    return new CliError(
      `Cannot start as port ${port} must be free: another process uses it (choose one with --port N)`,
      { cause: error },
    );
  }
  if (code === 'EACCES') {
    return new CliError(`Cannot start as port ${port} must be open to this user: it is not`, {
      cause: error,
    });
  }
  return error;
}

/** Whether a server accepts connections on a loopback port. */
export async function isListening(port: number): Promise<boolean> {
  const socket = connect({ port, host: LOOPBACK });
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(2_000) });
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** Requests a URL until it answers 200. On timeout the error has the last response in one line. */
export async function waitUntilServed(url: string, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  let last = 'no answer';
  while (performance.now() < deadline) {
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(5_000) });
      await response.body?.cancel();
      if (response.status === 200) return;
      last = `status ${response.status}`;
    } catch (error) {
      last = error instanceof Error ? error.message : String(error);
    }
    await delay(50);
  }
  throw new CliError(
    `Cannot start as ${url} must answer 200 within ${timeoutMs / 1_000} s: ${last}`,
  );
}
