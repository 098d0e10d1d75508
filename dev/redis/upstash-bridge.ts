import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { openRespConnection, RedisReplyError, type RespValue } from './resp-connection.ts';

/** What goes wrong between the service and its Redis. */
export type BridgeFault =
  | { readonly kind: 'slow'; readonly delayMs: number }
  | { readonly kind: 'hang' }
  | { readonly kind: 'status'; readonly status: number }
  | { readonly kind: 'body'; readonly body: string }
  | { readonly kind: 'reply-error'; readonly message: string };

/** The REST protocol of Upstash in front of a real Redis server. */
export interface UpstashBridge {
  readonly url: string;
  readonly token: string;
  /** HTTP requests that arrived. */
  requests(): number;
  /** Names of the commands that arrived, in order. */
  commands(): readonly string[];
  inject(fault: BridgeFault | undefined): void;
  /** Refuses connections from now on. */
  close(): Promise<void>;
}

export interface UpstashBridgeOptions {
  readonly socketPath: string;
  /** 0 takes a free one. */
  readonly port?: number;
}

type Result = { readonly result: RespValue } | { readonly error: string };

const TOKEN = 'token-of-the-bridge';
/** Upstash knows a script flag that Redis itself refuses. */
const SCRIPT_FLAGS = /^#!lua[^\n]*/;

const commandSchema = z.array(z.union([z.string(), z.number(), z.boolean(), z.null()]));

export async function startUpstashBridge(options: UpstashBridgeOptions): Promise<UpstashBridge> {
  const redis = await openRespConnection(options.socketPath);
  const plainHashes = new Map<string, string>();
  const seen: string[] = [];
  let requests = 0;
  let fault: BridgeFault | undefined;

  async function runOne(input: unknown): Promise<Result> {
    if (fault?.kind === 'reply-error') return { error: fault.message };
    const command = withoutFlags(commandSchema.parse(input).map(String), plainHashes);
    seen.push((command[0] ?? '').toUpperCase());
    const result = await redis.send(command);
    return result instanceof RedisReplyError ? { error: result.message } : { result };
  }

  async function runAll(commands: readonly unknown[], path: string): Promise<Result[]> {
    if (path !== '/multi-exec') return Promise.all(commands.map(runOne));
    // Sent in one go, so that nothing comes between them.
    const all = [runOne(['MULTI']), ...commands.map(runOne), runOne(['EXEC'])];
    const last = (await Promise.all(all)).at(-1);
    if (last === undefined || 'error' in last || !Array.isArray(last.result)) {
      return commands.map(() => ({ error: 'ERR the transaction failed' }));
    }
    return last.result.map((result: RespValue) => ({ result }));
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    requests += 1;
    const body: unknown = JSON.parse(await text(request));
    if (fault?.kind === 'hang') return;
    if (fault?.kind === 'slow') await delay(fault.delayMs);
    if (fault?.kind === 'status') return reply(response, fault.status, '{"error":"injected"}');
    if (fault?.kind === 'body') return reply(response, 200, fault.body);
    if (request.headers.authorization !== `Bearer ${TOKEN}`) {
      return reply(response, 401, '{"error":"WRONGPASS invalid or missing auth token"}');
    }
    const encode = request.headers['upstash-encoding'] === 'base64' ? toBase64 : asItIs;
    const path = request.url ?? '/';
    if (path !== '/') {
      const results = await runAll(z.array(z.unknown()).parse(body), path);
      return reply(response, 200, JSON.stringify(results.map(encode)));
    }
    const result = await runOne(body);
    reply(response, 'error' in result ? 400 : 200, JSON.stringify(encode(result)));
  }

  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    token: TOKEN,
    requests: () => requests,
    commands: () => seen,
    inject: (next) => void (fault = next),
    async close() {
      redis.close();
      await closeServer(server);
    },
  };
}

/** Takes the flags out of a script, and remembers which hash the script has without them. */
function withoutFlags(command: string[], plainHashes: Map<string, string>): string[] {
  const name = (command[0] ?? '').toUpperCase();
  if (name === 'EVALSHA') {
    const [first = '', hash = '', ...rest] = command;
    return [first, plainHashes.get(hash) ?? hash, ...rest];
  }
  const at = name === 'EVAL' ? 1 : 2;
  const script = command[at];
  if (script === undefined || (name !== 'EVAL' && name !== 'SCRIPT')) return command;
  const plain = script.replace(SCRIPT_FLAGS, '');
  plainHashes.set(sha1(script), sha1(plain));
  return command.with(at, plain);
}

function sha1(script: string): string {
  return createHash('sha1').update(script).digest('hex');
}

function asItIs(result: Result): Result {
  return result;
}

function toBase64(result: Result): Result {
  return 'error' in result ? result : { result: encodeValue(result.result) };
}

function encodeValue(value: RespValue): RespValue {
  if (Array.isArray(value)) return value.map(encodeValue);
  if (typeof value !== 'string' || value === 'OK') return value;
  return Buffer.from(value).toString('base64');
}

function reply(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(body);
}

async function closeServer(server: Server): Promise<void> {
  server.closeAllConnections();
  if (!server.listening) return;
  server.close();
  await once(server, 'close');
}
