import { BlobServiceClient } from '@azure/storage-blob';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { from } from './support/callers.ts';
import { eventually, postChat } from './support/post-chat.ts';
import { readEvents } from './support/read-events.ts';
import { startEnvironment, type TestEnvironment } from './support/start-environment.ts';

let environment: TestEnvironment;
beforeAll(async () => {
  environment = await startEnvironment({
    settings: {
      HISTORY_ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
      AGENT__MODEL__MAX_ATTEMPTS: '1',
      AGENT__TOOLS__ENABLED: 'calculator,search_conversation',
      AGENT__CACHE__TTL_SECONDS: '300',
    },
  });
});
afterAll(() => environment.stop());

const replySchema = z.object({
  response: z.string(),
  sessionId: z.string().regex(/^sess_[0-9a-f]{43}$/),
  cached: z.boolean(),
});
const problemSchema = z.object({ requestId: z.string(), error: z.object({ code: z.string() }) });
const sessionSchema = z.object({
  sessionId: z.string(),
  hasMore: z.boolean(),
  messages: z.array(
    z.object({
      id: z.string(),
      role: z.string(),
      content: z.string().nullable(),
      runStatus: z.string(),
      toolCalls: z.array(z.object({ id: z.string(), name: z.string() })).optional(),
      toolCallId: z.string().optional(),
    }),
  ),
});

async function chat(message: string, sessionId?: string, headers = {}) {
  const response = await postChat(environment.url, { message, sessionId }, { headers });
  return replySchema.parse(await response.json());
}

function fetchSession(path: string, init?: RequestInit): Promise<Response> {
  return fetch(`${environment.url}/api/sessions${path}`, init);
}

async function readSession(id: string) {
  return sessionSchema.parse(await (await fetchSession(`/${id}`)).json());
}

/** The texts that the model read in its last call. */
function lastMessages(): string[] {
  const { messages } = z
    .object({ messages: z.array(z.object({ role: z.string(), content: z.unknown() })) })
    .parse(environment.model.calls().at(-1)?.body);
  return messages.slice(1).map(({ role, content }) => `${role}: ${String(content)}`);
}

describe('a session', () => {
  it('continues with its earlier messages, whole and as a stream', async () => {
    const first = await chat('My name is Ada');

    const second = await chat('What is my name?', first.sessionId);
    const stream = await postChat(environment.url, {
      message: 'And again?',
      sessionId: first.sessionId,
      stream: true,
    });
    const { events } = await readEvents(stream);

    expect(second.sessionId).toBe(first.sessionId);
    expect(events[0]).toMatchObject({ event: 'session', data: { sessionId: first.sessionId } });
    expect(events.at(-1)).toMatchObject({ event: 'done', data: { sessionId: first.sessionId } });
    expect(lastMessages()).toEqual([
      'user: My name is Ada',
      `assistant: ${first.response}`,
      'user: What is my name?',
      `assistant: ${second.response}`,
      'user: And again?',
    ]);
    const { messages } = await readSession(first.sessionId);
    expect(messages.map(({ role, runStatus }) => `${role} ${runStatus}`)).toEqual([
      'user completed',
      'assistant completed',
      'user completed',
      'assistant completed',
      'user completed',
      'assistant completed',
    ]);
  });

  it('is not answered from the cache once it has a history', async () => {
    const first = await chat('Cache rule');
    const again = await chat('Cache rule');

    const continued = await chat('Cache rule', first.sessionId);

    expect([first.cached, again.cached, continued.cached]).toEqual([false, true, false]);
    expect(again.sessionId).not.toBe(first.sessionId);
  });

  it('has one run at a time, from the first event of its first run on', async () => {
    const stream = await postChat(environment.url, { message: 'dev/stall-3 Busy', stream: true });
    const reader = stream.body?.getReader();
    const { value } = (await reader?.read()) ?? {};
    const [sessionId = ''] = /sess_[0-9a-f]{43}/.exec(new TextDecoder().decode(value)) ?? [];

    const refused = await postChat(environment.url, { message: 'Second', sessionId });
    const removal = await fetchSession(`/${sessionId}`, { method: 'DELETE' });
    await reader?.cancel();

    for (const busy of [refused, removal]) {
      expect(busy.status).toBe(409);
      expect(Number(busy.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
      expect(await busy.json()).toMatchObject({ error: { code: 'session_busy' } });
    }
    await eventually('the session is free', async () => {
      return (await postChat(environment.url, { message: 'Second', sessionId })).status === 200;
    });
    const { messages } = await readSession(sessionId);
    expect(messages[1]).toMatchObject({ role: 'assistant', runStatus: 'partial' });
  });

  it('keeps what a broken run showed as partial, and never as an answer', async () => {
    const { sessionId } = await chat('Before');

    const { events: broken } = await readEvents(
      await postChat(environment.url, { message: 'dev/cut-4 Breaks', sessionId, stream: true }),
    );
    await postChat(environment.url, { message: 'dev/500-always Fails', sessionId });
    await chat('After', sessionId);

    const shown = broken.flatMap(({ event, data }) =>
      event === 'delta' ? z.object({ text: z.string() }).parse(data).text : [],
    );
    const { messages } = await readSession(sessionId);
    expect(messages.slice(2, 5)).toMatchObject([
      { role: 'user', runStatus: 'partial' },
      { role: 'assistant', runStatus: 'partial', content: shown.join('') },
      { role: 'user', runStatus: 'failed' },
    ]);
    expect(lastMessages().slice(-2)).toEqual(['user: dev/cut-4 Breaks', 'user: After']);
  });

  it('keeps the first 65,536 characters of a long answer that broke off', async () => {
    const { sessionId } = await chat('Before');
    const response = await postChat(environment.url, {
      message: 'dev/bytes-50000000 Long',
      sessionId,
      stream: true,
    });
    const reader = response.body?.getReader();

    for (let bytes = 0; bytes < 200_000;) bytes += (await reader?.read())?.value?.length ?? 0;
    await reader?.cancel();

    await eventually('the run was stored', async () => {
      const { messages } = await readSession(sessionId);
      return messages.at(-1)?.runStatus === 'partial';
    });
    const { messages } = await readSession(sessionId);
    expect(messages.at(-1)?.content).toHaveLength(65_536);
  });

  it('keeps tool calls with their results, and lets the model search older messages', async () => {
    const { sessionId } = await chat('The code word is walnut');

    await chat('dev/tool calculator {"expression":"6*7"}', sessionId);
    await chat('dev/tool search_conversation {"query":"code word"}', sessionId);

    const { messages } = await readSession(sessionId);
    const [call, result] = messages.slice(3, 5);
    expect(call?.toolCalls).toMatchObject([{ name: 'calculator', id: result?.toolCallId }]);
    expect(result).toMatchObject({ role: 'tool', content: expect.stringContaining('42') });
    const search = messages.findLast(({ role }) => role === 'tool');
    expect(search?.content).toContain('user: The code word is walnut');
  });

  it('is read with half of its history once when it is too long for the model (U19)', async () => {
    const { sessionId } = await chat('One');
    await chat('Two', sessionId);
    const before = environment.model.calls().length;

    const answered = await chat('dev/context-length-4 Three', sessionId);
    const refused = await postChat(environment.url, {
      message: 'dev/context-length-1 Four',
      sessionId,
    });

    expect(answered.sessionId).toBe(sessionId);
    expect(refused.status).toBe(413);
    expect(environment.model.calls().length - before).toBe(4);
    expect(lastMessages().at(-1)).toBe('user: dev/context-length-1 Four');
  });

  it('of another caller is exactly like one that does not exist', async () => {
    const { sessionId } = await chat('Private', undefined, from('192.0.2.1'));
    const absent = `sess_${sessionId.slice(5, 16)}${'0'.repeat(32)}`;
    const requests = (id: string) => [
      fetchSession(`/${id}`),
      fetchSession(`/${id}`, { method: 'DELETE' }),
      postChat(environment.url, { message: 'Hi', sessionId: id }),
    ];

    const answers = await Promise.all([sessionId, absent, '..', 'conv_1'].flatMap(requests));

    const bodies = await Promise.all(
      answers.map(async (answer) => JSON.stringify(await answer.json())),
    );
    const known = bodies.slice(0, 6).map((body) => {
      const { requestId } = problemSchema.parse(JSON.parse(body));
      return body.replaceAll(requestId, '');
    });
    expect(new Set(known).size).toBe(1);
    expect(known[0]).toContain('"session_not_found"');
    expect(answers.slice(0, 6).map(({ status }) => status)).toEqual(Array(6).fill(404));
    const own = await fetchSession(`/${sessionId}`, { headers: from('192.0.2.1') });
    expect(own.status).toBe(200);
  });

  it('is listed for its caller, paged, and gone after its deletion', async () => {
    const caller = { headers: from('192.0.2.2') };
    const ids: string[] = [];
    for (const message of ['One', 'Two', 'Three']) {
      ids.unshift((await chat(message, undefined, caller.headers)).sessionId);
    }
    const list = async (query: string) => {
      const body: unknown = await (await fetchSession(query, caller)).json();
      const schema = z.object({
        hasMore: z.boolean(),
        sessions: z.array(z.object({ sessionId: z.string() })),
      });
      const { hasMore, sessions } = schema.parse(body);
      return { hasMore, ids: sessions.map(({ sessionId }) => sessionId) };
    };

    const first = await list('?limit=2');
    const second = await list(`?limit=2&after=${first.ids.at(-1) ?? ''}`);
    const removed = await fetchSession(`/${ids[0] ?? ''}`, { method: 'DELETE', ...caller });

    expect(first).toEqual({ hasMore: true, ids: ids.slice(0, 2) });
    expect(second).toEqual({ hasMore: false, ids: ids.slice(2) });
    expect(await removed.json()).toEqual({ sessionId: ids[0], deleted: true });
    expect((await list('')).ids).toEqual(ids.slice(1));
    expect((await fetchSession(`/${ids[0] ?? ''}`, caller)).status).toBe(404);
  });

  it('is stored without plain text while there is an encryption key', async () => {
    await chat('canary-4711 please repeat it');

    const blobs = BlobServiceClient.fromConnectionString(environment.connectionString);
    const texts: string[] = [];
    for await (const { name: container } of blobs.listContainers()) {
      const client = blobs.getContainerClient(container);
      for await (const { name } of client.listBlobsFlat({ includeMetadata: true })) {
        texts.push(name, (await client.getBlobClient(name).downloadToBuffer()).toString('utf8'));
      }
    }

    expect(texts.length).toBeGreaterThan(10);
    expect(texts.filter((text) => /canary-4711|walnut|Private/.test(text))).toEqual([]);
  });

  it('is refused by the name of its field when it is empty', async () => {
    const response = await postChat(environment.url, { message: 'x', sessionId: '' });

    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { param: 'sessionId' } });
  });
});
