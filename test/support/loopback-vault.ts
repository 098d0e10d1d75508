import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { SecretClientOptions } from '@azure/keyvault-secrets';
import { createDefaultHttpClient } from '@azure/core-rest-pipeline';

/** How the vault behaves from now on. */
export type VaultMood =
  | { readonly kind: 'well' }
  | { readonly kind: 'down' }
  | { readonly kind: 'status'; readonly status: number }
  | { readonly kind: 'slow'; readonly delayMs: number };

export interface StoredSecret {
  readonly value: string;
  readonly version: string;
  readonly enabled: boolean;
}

/** A vault and a managed-identity endpoint on loopback that speak as the real ones do. */
export interface LoopbackVault {
  /** Where the server listens; the name that clients use for it is theirs to map here. */
  readonly origin: string;
  readonly port: number;
  /** What an app of the platform finds in its environment. */
  readonly identity: { readonly IDENTITY_ENDPOINT: string; readonly IDENTITY_HEADER: string };
  /** Stores a new version. */
  set(name: string, value: string, options?: { readonly enabled?: boolean }): void;
  remove(name: string): void;
  be(mood: VaultMood): void;
  identityBe(mood: VaultMood): void;
  /** Names that were requested with a token, in order, including refused requests. */
  reads(): readonly string[];
  tokenRequests(): number;
  /** Resolves when that many reads were requested. */
  untilReads(count: number): Promise<void>;
  close(): Promise<void>;
}

export interface LoopbackVaultOptions {
  /** Speaks https with this certificate instead of plain http. */
  readonly tls?: { readonly key: string; readonly cert: string };
}

const TENANT = '00000000-0000-0000-0000-000000000000';

export async function startLoopbackVault(
  options: LoopbackVaultOptions = {},
): Promise<LoopbackVault> {
  const secrets = new Map<string, StoredSecret>();
  const reads: string[] = [];
  let tokenRequests = 0;
  let versions = 0;
  let vaultMood: VaultMood = { kind: 'well' };
  let identityMood: VaultMood = { kind: 'well' };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://vault');
    const isIdentity = url.pathname === '/msi/token';
    const name = /^\/secrets\/([^/]+)/.exec(url.pathname)?.[1] ?? '';
    const isChallenge = !isIdentity && request.headers.authorization === undefined;
    if (isIdentity) tokenRequests += 1;
    else if (!isChallenge) reads.push(name);
    const mood = isIdentity ? identityMood : vaultMood;
    if (mood.kind === 'down') return void request.socket.destroy();
    if (mood.kind === 'slow') await delay(mood.delayMs, undefined, { ref: false });
    if (isIdentity)
      return sendToken(response, { mood, resource: url.searchParams.get('resource') });
    if (isChallenge) return sendChallenge(response);
    if (mood.kind === 'status') return sendRefusal(response, mood.status);
    sendSecret(response, { name, secret: secrets.get(name) });
  }

  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    answer(request, response).catch(() => response.destroy());
  };
  const server =
    options.tls === undefined ? createServer(listener) : createSecureServer(options.tls, listener);
  // The identity endpoint of the platform is plain http, also where the vault is not.
  const identityServer = options.tls === undefined ? server : createServer(listener);
  await Promise.all([...new Set([server, identityServer])].map(listen));
  const port = portOf(server);
  const origin = `${options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`;
  const identityOrigin = `http://127.0.0.1:${portOf(identityServer)}`;
  return {
    origin,
    port,
    identity: { IDENTITY_ENDPOINT: `${identityOrigin}/msi/token`, IDENTITY_HEADER: 'loopback' },
    set(name, value, { enabled = true } = {}) {
      versions += 1;
      secrets.set(name, { value, version: versions.toString(16).padStart(32, '0'), enabled });
    },
    remove: (name) => void secrets.delete(name),
    be: (mood) => void (vaultMood = mood),
    identityBe: (mood) => void (identityMood = mood),
    reads: () => [...reads],
    tokenRequests: () => tokenRequests,
    async untilReads(count) {
      while (reads.length < count) await delay(5);
    },
    async close() {
      for (const each of new Set([server, identityServer])) {
        each.closeAllConnections();
        each.close();
      }
    },
  };
}

/** Sends what is meant for a vault's public name to the loopback vault instead. */
export function loopbackTransport(origin: string): NonNullable<SecretClientOptions['httpClient']> {
  const base = createDefaultHttpClient();
  return {
    sendRequest(request) {
      const { pathname, search } = new URL(request.url);
      const url = request.url;
      request.url = `${origin}${pathname}${search}`;
      request.allowInsecureConnection = true;
      return base.sendRequest(request).finally(() => {
        // The client compares the challenge with the name that it asked for.
        request.url = url;
      });
    },
  };
}

function listen(server: ReturnType<typeof createServer>): Promise<void> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
}

function portOf(server: ReturnType<typeof createServer>): number {
  return (server.address() as AddressInfo).port;
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

function sendToken(
  response: ServerResponse,
  { mood, resource }: { mood: VaultMood; resource: string | null },
): void {
  if (mood.kind === 'status') return send(response, mood.status, { error: 'unavailable' });
  send(response, 200, {
    access_token: 'loopback-token',
    expires_on: String(Math.floor(Date.now() / 1_000) + 86_400),
    resource,
    token_type: 'Bearer',
  });
}

function sendChallenge(response: ServerResponse): void {
  const authorization = `https://login.microsoftonline.com/${TENANT}`;
  response.setHeader(
    'www-authenticate',
    `Bearer authorization="${authorization}", resource="https://vault.azure.net"`,
  );
  send(response, 401, { error: { code: 'Unauthorized' } });
}

function sendRefusal(response: ServerResponse, status: number): void {
  const code = status === 403 ? 'Forbidden' : status === 429 ? 'Throttled' : 'Failure';
  const innererror = status === 403 ? { code: 'ForbiddenByRbac' } : undefined;
  send(response, status, { error: { code, message: 'refused', innererror } });
}

function sendSecret(
  response: ServerResponse,
  { name, secret }: { name: string; secret: StoredSecret | undefined },
): void {
  if (secret === undefined) {
    const message = `A secret with (name/id) ${name} was not found in this key vault`;
    return send(response, 404, { error: { code: 'SecretNotFound', message } });
  }
  if (!secret.enabled) {
    const innererror = { code: 'SecretDisabled' };
    const message = 'Operation get is not allowed on a disabled secret';
    return send(response, 403, { error: { code: 'Forbidden', message, innererror } });
  }
  send(response, 200, {
    value: secret.value,
    id: `https://dev.vault.azure.net/secrets/${name}/${secret.version}`,
    attributes: { enabled: true, created: 1, updated: 1, recoveryLevel: 'Purgeable' },
  });
}
