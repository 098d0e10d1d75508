import type { Client } from 'openapi-fetch';
// Written from openapi.json by the test that compiles this file.
import type { paths } from '../../../node_modules/.cache/openapi-client/api.d.ts';

type Api = Client<paths>;

const ITEM = {
  custom_id: 'a',
  method: 'POST',
  url: '/v1/chat/completions',
  body: { messages: [{ role: 'user', content: 'Hello' }] },
};
const TEXT = { role: 'user', content: 'Hello' } as const;

/** Calls each operation of the document once, as a program with the generated types does. */
export async function callEach(api: Api): Promise<void> {
  await callOpenRoutes(api);
  await callChats(api);
  await callResponses(api);
  await callConversations(api);
  await callBatches(api);
}

async function callOpenRoutes(api: Api): Promise<void> {
  const { data: health } = await api.GET('/health');
  need(health?.status satisfies 'healthy' | undefined);
  const { data: ready } = await api.GET('/ready');
  need(ready?.chat.status satisfies string | undefined);
  await api.GET('/health/ready');
  await api.GET('/metrics', { parseAs: 'text' });
  await api.GET('/openapi.json');
  await api.GET('/', { parseAs: 'text' });
  const { data: models } = await api.GET('/v1/models');
  const id = need(models?.data[0]?.id satisfies string | undefined);
  await api.GET('/v1/models/{id}', { params: { path: { id } } });
}

async function callChats(api: Api): Promise<void> {
  const body = { message: 'Hello', metadata: { topic: 'weather' } };
  const { data: chat } = await api.POST('/api/chat', {
    body,
    params: { header: { 'Idempotency-Key': 'one' } },
  });
  const answer = whole(chat);
  if (!('sessionId' in answer)) throw new Error('Cannot read the answer of a chat');
  const path = { id: need(answer.sessionId satisfies string | null) };
  await api.POST('/api/chat/stream', { body: { messages: [TEXT] }, parseAs: 'text' });
  await api.GET('/api/sessions', { params: { query: { limit: 5 } } });
  const { data: session } = await api.GET('/api/sessions/{id}', { params: { path } });
  need(session?.messages[0]?.role satisfies string | undefined);
  await api.DELETE('/api/sessions/{id}', { params: { path } });

  const chatPath = { id: 'chat-1' };
  await api.GET('/api/chat/{id}/stream', { params: { path: chatPath }, parseAs: 'text' });
  const { data: stop } = await api.POST('/api/chat/{id}/stop', { params: { path: chatPath } });
  need(stop?.stopped satisfies boolean | undefined);
  const { data: queued } = await api.POST('/api/chat', { body: { ...body, background: true } });
  const state = whole(queued);
  if (!('id' in state)) throw new Error('Cannot read the state of a run');
  const run = { id: state.id };
  await api.GET('/api/chat/{id}', { params: { path: run, query: { stream: 'false' } } });
  await api.POST('/api/chat/{id}/cancel', { params: { path: run } });

  const { data: completion } = await api.POST('/v1/chat/completions', {
    body: { messages: [TEXT], temperature: 0.5 },
  });
  const { choices } = whole(completion);
  need(choices[0]?.message.content satisfies string | null | undefined);
  await api.POST('/mcp', {
    body: { jsonrpc: '2.0', id: 1, method: 'ping' },
    headers: { accept: 'application/json, text/event-stream' },
  });
}

async function callResponses(api: Api): Promise<void> {
  const { data } = await api.POST('/v1/responses', { body: { model: 'agent', input: 'Hello' } });
  const path = { id: whole(data).id satisfies string };
  await api.GET('/v1/responses/{id}', { params: { path } });
  await api.GET('/v1/responses/{id}/input_items', { params: { path, query: { order: 'asc' } } });
  const { data: count } = await api.POST('/v1/responses/input_tokens', {
    body: { input: 'Hello' },
  });
  need(whole(count).input_tokens satisfies number);
  const { data: queued } = await api.POST('/v1/responses', {
    body: { input: 'Hello', background: true },
  });
  const run = { id: whole(queued).id };
  await api.POST('/v1/responses/{id}/cancel', { params: { path: run } });
  await api.DELETE('/v1/responses/{id}', { params: { path } });
}

async function callConversations(api: Api): Promise<void> {
  const { data: conversation } = await api.POST('/v1/conversations', {
    body: { metadata: { topic: 'weather' } },
  });
  const path = { id: need(conversation?.id satisfies string | undefined) };
  await api.GET('/v1/conversations/{id}', { params: { path } });
  await api.POST('/v1/conversations/{id}', { params: { path }, body: { metadata: {} } });
  await api.POST('/v1/conversations/{id}/items', {
    params: { path },
    body: { items: [{ type: 'message', ...TEXT }] },
  });
  const { data: items } = await api.GET('/v1/conversations/{id}/items', {
    params: { path, query: { limit: 1, order: 'asc' } },
  });
  const item = { ...path, itemId: need(items?.data[0]?.id satisfies string | undefined) };
  await api.GET('/v1/conversations/{id}/items/{itemId}', { params: { path: item } });
  await api.DELETE('/v1/conversations/{id}/items/{itemId}', { params: { path: item } });
  await api.DELETE('/v1/conversations/{id}', { params: { path } });
}

async function callBatches(api: Api): Promise<void> {
  const { data: file } = await api.POST('/v1/files', {
    body: { purpose: 'batch', file: `${JSON.stringify(ITEM)}\n` },
    bodySerializer({ purpose, file: lines }) {
      const form = new FormData();
      form.append('purpose', purpose);
      form.append('file', new Blob([lines]), 'items.jsonl');
      return form;
    },
  });
  const path = { id: need(file?.id satisfies string | undefined) };
  await api.GET('/v1/files', { params: { query: { purpose: 'batch' } } });
  await api.GET('/v1/files/{id}', { params: { path } });
  await api.GET('/v1/files/{id}/content', { params: { path }, parseAs: 'text' });
  const { data: created } = await api.POST('/v1/batches', {
    body: {
      input_file_id: path.id,
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
    },
  });
  const batch = { id: need(created?.id satisfies string | undefined) };
  await api.GET('/v1/batches', { params: { query: { limit: 1 } } });
  const { data: state } = await api.GET('/v1/batches/{id}', { params: { path: batch } });
  need(state?.request_counts.total satisfies number | undefined);
  await api.POST('/v1/batches/{id}/retry-failed', { params: { path: batch } });
  await api.POST('/v1/batches/{id}/cancel', { params: { path: batch } });
  await api.DELETE('/v1/files/{id}', { params: { path } });
}

/** Requests that the types refuse, and the service too: it must answer each with 400. */
export const WRONG: readonly ((api: Api) => Promise<{ readonly response: Response }>)[] = [
  // @ts-expect-error the message is a text
  (api) => api.POST('/api/chat', { body: { message: 7 } }),
  // @ts-expect-error there is no such role
  (api) => api.POST('/api/chat/stream', { body: { messages: [{ ...TEXT, role: 'robot' }] } }),
  // @ts-expect-error the messages are missing
  (api) => api.POST('/v1/chat/completions', { body: { model: 'agent' } }),
  // @ts-expect-error a text is no number
  (api) => api.POST('/v1/chat/completions', { body: { messages: [TEXT], temperature: 'warm' } }),
  // @ts-expect-error the value is a word
  (api) => api.POST('/v1/responses', { body: { input: 'Hello', truncation: 5 } }),
  // @ts-expect-error the metadata is an object
  (api) => api.POST('/v1/conversations', { body: { metadata: 'weather' } }),
  // @ts-expect-error the file is missing
  (api) => api.POST('/v1/batches', { body: { completion_window: '24h' } }),
  // @ts-expect-error a list has no such order
  (api) => api.GET('/v1/files', { params: { query: { order: 'random' } } }),
];

/** An answer that is not a stream. */
function whole<T extends object>(answer: T | string | undefined): T {
  if (typeof answer === 'object') return answer;
  throw new Error('Cannot read the answer of a call');
}

function need<T>(value: T | null | undefined): T {
  if (value === undefined || value === null) throw new Error('Cannot read the answer of a call');
  return value;
}
