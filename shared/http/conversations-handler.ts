import * as z from 'zod';
import { ServiceError } from '../errors.ts';
import { type Item, newId, toItem } from '../protocols/openai-responses-items.ts';
import { encodeItem } from '../protocols/openai-responses-object.ts';
import {
  type InputItem,
  inputItemSchema,
  metadataSchema,
  storedItemSchema,
} from '../protocols/openai-responses-schema.ts';
import { parseRequest } from '../protocols/validation.ts';
import type { ConversationStore } from '../sessions/conversation-store.ts';
import { type OpenConversation, sessionBusy } from '../sessions/open-conversation.ts';
import { assertNoBody, type CallerContext, type HandlerDependencies } from './request-context.ts';
import { jsonResponse, type PlainResponse } from './responses.ts';
import { itemPage } from './stored-responses.ts';

export interface ConversationsDependencies extends HandlerDependencies {
  /** @throws ServiceError config_unavailable without a storage account */
  conversations(): Promise<ConversationStore>;
}

type Conversation = OpenConversation['conversation'];

/** As many items as a client adds at once. */
const MAX_ADDED = 20;
const items = z.array(inputItemSchema).max(MAX_ADDED);
export const createConversationSchema = z.strictObject({
  items: items.nullish(),
  metadata: metadataSchema.nullish(),
});
export const updateConversationSchema = z.strictObject({ metadata: metadataSchema });
export const addItemsSchema = z.strictObject({ items: items.min(1) });

/** POST /v1/conversations */
export async function handleCreateConversation(
  context: CallerContext,
  dependencies: ConversationsDependencies,
): Promise<PlainResponse> {
  const { items: added, metadata } = parseRequest(
    createConversationSchema,
    await context.readJson(),
  );
  const store = await dependencies.conversations();
  const conversation = await store.create(context.callerId, {
    kind: 'conv',
    metadata: metadata ?? {},
    items: newItems(added ?? []),
  });
  return jsonResponse(encodeConversation(conversation));
}

/** GET /v1/conversations/{id} */
export async function handleGetConversation(
  context: CallerContext,
  dependencies: ConversationsDependencies,
): Promise<PlainResponse> {
  return jsonResponse(encodeConversation(await findConversation(context, dependencies)));
}

/** POST /v1/conversations/{id} */
export async function handleUpdateConversation(
  context: CallerContext,
  dependencies: ConversationsDependencies,
): Promise<PlainResponse> {
  const { metadata } = parseRequest(updateConversationSchema, await context.readJson());
  return changeConversation(context, dependencies, async (open) => {
    await open.setMetadata(metadata);
    return encodeConversation(open.conversation);
  });
}

/** DELETE /v1/conversations/{id} */
export async function handleDeleteConversation(
  context: CallerContext,
  dependencies: ConversationsDependencies,
): Promise<PlainResponse> {
  await assertNoBody(context);
  const store = await dependencies.conversations();
  const id = idOf(context);
  const isDeleted = id.startsWith('conv_') && (await store.remove(context.callerId, id));
  if (!isDeleted) throw noConversation();
  return jsonResponse({ id, object: 'conversation.deleted', deleted: true });
}

/** GET /v1/conversations/{id}/items */
export async function handleListConversationItems(
  context: CallerContext,
  dependencies: ConversationsDependencies,
): Promise<PlainResponse> {
  return itemPage(context, itemsOf(await findConversation(context, dependencies)));
}

/** POST /v1/conversations/{id}/items */
export async function handleAddConversationItems(
  context: CallerContext,
  dependencies: ConversationsDependencies,
): Promise<PlainResponse> {
  const added = newItems(parseRequest(addItemsSchema, await context.readJson()).items);
  return changeConversation(context, dependencies, async (open) => {
    await open.append(added);
    return {
      object: 'list',
      data: added.map(encodeItem),
      first_id: added.at(0)?.id ?? null,
      last_id: added.at(-1)?.id ?? null,
      has_more: false,
    };
  });
}

/** GET /v1/conversations/{id}/items/{itemId} */
export async function handleGetConversationItem(
  context: CallerContext,
  dependencies: ConversationsDependencies,
): Promise<PlainResponse> {
  const conversation = await findConversation(context, dependencies);
  const { itemId } = context.request.params;
  const item = itemsOf(conversation).find(({ id }) => id === itemId);
  if (item === undefined) throw noItem();
  return jsonResponse(encodeItem(item));
}

/** DELETE /v1/conversations/{id}/items/{itemId} */
export async function handleDeleteConversationItem(
  context: CallerContext,
  dependencies: ConversationsDependencies,
): Promise<PlainResponse> {
  await assertNoBody(context);
  return changeConversation(context, dependencies, async (open) => {
    if (!(await open.removeItem(context.request.params['itemId'] ?? ''))) throw noItem();
    return encodeConversation(open.conversation);
  });
}

function idOf(context: CallerContext): string {
  return context.request.params['id'] ?? '';
}

function noConversation(param?: string): ServiceError {
  return new ServiceError('not_found', 'There is no conversation with this id', { param });
}

function noItem(): ServiceError {
  return new ServiceError('not_found', 'There is no item with this id in the conversation');
}

async function findConversation(
  context: CallerContext,
  dependencies: ConversationsDependencies,
): Promise<Conversation> {
  await assertNoBody(context);
  const place = { owner: context.callerId, id: idOf(context) };
  return readConversation(await dependencies.conversations(), place);
}

/** @throws ServiceError not_found */
export async function readConversation(
  store: ConversationStore,
  { owner, id, param }: ConversationRef,
): Promise<Conversation> {
  const found = id.startsWith('conv_') ? await store.find(owner, id) : undefined;
  if (found === undefined) throw noConversation(param);
  return found;
}

/** Changes a conversation while no run has it. */
async function changeConversation(
  context: CallerContext,
  dependencies: ConversationsDependencies,
  change: (open: OpenConversation) => Promise<unknown>,
): Promise<PlainResponse> {
  const store = await dependencies.conversations();
  const open = await openConversation(store, { owner: context.callerId, id: idOf(context) });
  try {
    return jsonResponse(await change(open));
  } finally {
    await open.release();
  }
}

interface ConversationRef {
  readonly owner: string;
  readonly id: string;
  /** The field of the request that names the conversation. */
  readonly param?: string;
}

/**
 * The exclusive right to change a conversation of the Responses API.
 * @throws ServiceError not_found, or session_busy while another run has it
 */
export async function openConversation(
  store: ConversationStore,
  { owner, id, param }: ConversationRef,
): Promise<OpenConversation> {
  const open = id.startsWith('conv_') ? await store.open(owner, id) : undefined;
  if (open === undefined) throw noConversation(param);
  if (open === 'busy') throw sessionBusy();
  return open;
}

function itemsOf({ items: stored }: Conversation): readonly Item[] {
  return stored.map((item) => storedItemSchema.parse(item));
}

/** @throws ServiceError invalid_request for a reference, which cannot be added */
function newItems(added: readonly InputItem[]): Item[] {
  const responseId = newId('resp');
  return added.map((item, index) => {
    const created = toItem(item, { responseId, kind: 'input', index });
    if (created !== undefined) return created;
    const message = `Cannot accept the request: "items.${index}.type" must not be item_reference`;
    throw new ServiceError('invalid_request', message, { param: `items.${index}.type` });
  });
}

function encodeConversation({ id, createdAt, metadata }: Conversation) {
  const created_at = Math.floor(createdAt / 1_000);
  return { id, object: 'conversation', created_at, metadata: { ...metadata } };
}
