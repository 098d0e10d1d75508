import { BlobServiceClient } from '@azure/storage-blob';
import { QueueServiceClient } from '@azure/storage-queue';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { openRespConnection, type RespValue } from '../../dev/redis/resp-connection.ts';
import { type RedisEnvironment, startRedisEnvironment } from '../../dev/redis/redis-environment.ts';
import { requireTool } from '../support/required-tools.ts';
import { eventually } from './support/post-chat.ts';
import { startEnvironment, type TestEnvironment } from './support/start-environment.ts';

/** A word of every message and answer: the development model repeats its question. */
const CANARY = 'walrus-canary-4711';
const idSchema = z.looseObject({ id: z.string() });

describe('with an encryption key, storage and Redis', requireTool('redis-server'), () => {
  let redis: RedisEnvironment;
  let environment: TestEnvironment;
  beforeAll(async () => {
    redis = await startRedisEnvironment();
    environment = await startEnvironment({
      settings: {
        HISTORY_ENCRYPTION_KEY: Buffer.alloc(32, 9).toString('base64'),
        UPSTASH_REDIS_REST_URL: redis.bridge.url,
        UPSTASH_REDIS_REST_TOKEN: redis.bridge.token,
        AGENT__REDIS__TIMEOUT_MS: '10000',
        AGENT__CACHE__TTL_SECONDS: '300',
        AGENT__LIMITS__REQUESTS_PER_MINUTE: '1000',
        AGENT__LIMITS__TOKENS_PER_MINUTE: '10000000',
        AGENT__TOOLS__ENABLED: 'search_conversation,current_time',
      },
    });
  });
  afterAll(async () => {
    await environment.stop();
    await redis.close();
  });

  async function post(path: string, body: object, headers: Record<string, string> = {}) {
    const response = await fetch(environment.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
    expect(response.status).toBe(200);
    return response.text();
  }
  const isEnded = (path: string) => async (): Promise<boolean> =>
    (await (await fetch(environment.url + path)).text()).includes('"completed"');

  it('contain no word of a message or an answer', async () => {
    const input = `Please repeat ${CANARY}`;
    const first = await post('/api/chat', { message: input });
    const { sessionId } = z.looseObject({ sessionId: z.string() }).parse(JSON.parse(first));
    await post('/api/chat', { message: `${input} again`, sessionId, stream: true });
    await post('/api/chat', { message: input }, { 'idempotency-key': 'k1' });
    await post('/v1/chat/completions', { messages: [{ role: 'user', content: input }] });
    await post('/v1/responses', { input, metadata: { note: CANARY } });
    const conversation = idSchema.parse(
      JSON.parse(
        await post('/v1/conversations', {
          items: [{ type: 'message', role: 'user', content: CANARY }],
          metadata: { topic: CANARY },
        }),
      ),
    ).id;
    const background = { input, background: true, conversation };
    const response = idSchema.parse(JSON.parse(await post('/v1/responses', background))).id;
    const chat = { message: input, background: true, sessionId };
    const run = idSchema.parse(JSON.parse(await post('/api/chat', chat))).id;
    await eventually('the response ends', isEnded(`/v1/responses/${response}`));
    await eventually('the chat ends', isEnded(`/api/chat/${run}`));
    await eventually('the cache is written', () => redis.bridge.commands().includes('SET'));

    const stored = await readStorage(environment.connectionString);
    const cached = await readRedis(redis.socketPath);

    expect(stored.length).toBeGreaterThan(12);
    expect(cached.some(({ key }) => key.includes('cache'))).toBe(true);
    expect(cached.length).toBeGreaterThan(2);
    expect(stored.filter((text) => text.includes(CANARY))).toEqual([]);
    expect(cached.filter(({ value }) => value.includes(CANARY))).toEqual([]);
  });
});

/** Names, metadata and contents of all blobs, and all messages that are queued. */
async function readStorage(connectionString: string): Promise<readonly string[]> {
  const texts: string[] = [];
  const blobs = BlobServiceClient.fromConnectionString(connectionString);
  for await (const { name: container } of blobs.listContainers()) {
    const client = blobs.getContainerClient(container);
    for await (const { name, metadata } of client.listBlobsFlat({ includeMetadata: true })) {
      texts.push(name, JSON.stringify(metadata ?? {}));
      texts.push((await client.getBlobClient(name).downloadToBuffer()).toString('utf8'));
    }
  }
  const queues = QueueServiceClient.fromConnectionString(connectionString);
  for await (const { name } of queues.listQueues()) {
    const client = queues.getQueueClient(name);
    const { peekedMessageItems } = await client.peekMessages({ numberOfMessages: 32 });
    for (const { messageText } of peekedMessageItems) texts.push(messageText);
  }
  return texts;
}

/** Every key with its value, whatever its type. */
async function readRedis(socketPath: string) {
  const connection = await openRespConnection(socketPath);
  const keys = z.array(z.string()).parse(await connection.send(['KEYS', '*']));
  const values = await Promise.all(
    keys.map(async (key) => {
      const type = await connection.send(['TYPE', key]);
      const read = READ[String(type)] ?? (() => ['DUMP', key]);
      return { key, value: `${key} ${textOf(await connection.send(read(key)))}` };
    }),
  );
  connection.close();
  return values;
}

const READ: Readonly<Record<string, (key: string) => string[]>> = {
  string: (key) => ['GET', key],
  hash: (key) => ['HGETALL', key],
  list: (key) => ['LRANGE', key, '0', '-1'],
  set: (key) => ['SMEMBERS', key],
  zset: (key) => ['ZRANGE', key, '0', '-1'],
};

function textOf(value: RespValue): string {
  return Array.isArray(value) ? value.map(textOf).join(' ') : String(value);
}
