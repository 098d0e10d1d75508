import { randomBytes } from 'node:crypto';
import type { Message } from '../agent/agent.ts';
import { ServiceError } from '../errors.ts';
import type { ContentPart } from '../model/model.ts';
import type { InputItem } from './openai-responses-schema.ts';

/** One piece of content, as clients read it. */
export type ItemPart =
  | { readonly type: 'input_text'; readonly text: string }
  | {
      readonly type: 'input_image';
      readonly image_url: string;
      readonly detail: 'auto' | 'low' | 'high';
    }
  | { readonly type: 'input_file'; readonly filename: string; readonly file_data: string }
  | { readonly type: 'output_text'; readonly text: string; readonly annotations: readonly [] }
  | { readonly type: 'refusal'; readonly refusal: string };

export type ItemStatus = 'in_progress' | 'completed' | 'incomplete';

/** One item of a conversation, as clients read it. */
export type Item =
  | {
      readonly type: 'message';
      readonly id: string;
      readonly status: ItemStatus;
      readonly role: 'user' | 'assistant' | 'system' | 'developer';
      readonly content: readonly ItemPart[];
      readonly phase?: 'commentary' | 'final_answer' | undefined;
    }
  | {
      readonly type: 'function_call';
      readonly id: string;
      readonly call_id: string;
      readonly name: string;
      /** JSON text. */
      readonly arguments: string;
      readonly status: ItemStatus;
    }
  | {
      readonly type: 'function_call_output';
      readonly id: string;
      readonly call_id: string;
      readonly output: string;
      readonly status: ItemStatus;
    }
  | {
      readonly type: 'reasoning';
      readonly id: string;
      readonly summary: readonly unknown[];
      readonly content?: readonly unknown[] | undefined;
      readonly encrypted_content?: string | undefined;
    };

/** An id that cannot be guessed: 192 random bits. */
export function newId(prefix: 'resp' | 'conv' | ItemIdPrefix): string {
  return `${prefix}_${randomBytes(24).toString('hex')}`;
}

type ItemIdPrefix = 'msg' | 'fc' | 'fco' | 'rs';

/** Items of the input and of the output are counted apart. */
export interface ItemPlace {
  readonly responseId: string;
  readonly kind: 'input' | 'output';
  readonly index: number;
}

/** The id of an item: it names the response, so that the item is found without an index. */
export function itemId(prefix: ItemIdPrefix, { responseId, kind, index }: ItemPlace): string {
  const number = (kind === 'input' ? INPUT_BASE : 0) + index;
  return `${prefix}_${responseId.slice('resp_'.length)}${number.toString(16).padStart(4, '0')}`;
}

const INPUT_BASE = 0x8000;
const ITEM_ID = /^[a-z]+_([0-9a-f]{48})[0-9a-f]{4}$/;

/** The response that an item belongs to; undefined for an id that was not made here. */
export function responseIdOf(id: string): string | undefined {
  const hex = ITEM_ID.exec(id)?.[1];
  return hex === undefined ? undefined : `resp_${hex}`;
}

/** Undefined for a reference, which stands for a stored item. */
export function toItem(item: InputItem, place: ItemPlace): Item | undefined {
  const status = 'completed';
  switch (item.type) {
    case 'message': {
      const { role, id = itemId('msg', place) } = item;
      const content = item.content.map(toPart);
      const phase = item.role === 'assistant' ? item.phase : undefined;
      return { type: 'message', id, status, role, content, ...(phase && { phase }) };
    }
    case 'function_call': {
      const { call_id, name, id = itemId('fc', place) } = item;
      return { type: 'function_call', id, call_id, name, arguments: item.arguments, status };
    }
    case 'function_call_output': {
      const { call_id, id = itemId('fco', place) } = item;
      const output = item.output.map(({ text }) => text).join('');
      return { type: 'function_call_output', id, call_id, output, status };
    }
    case 'reasoning': {
      const { id = itemId('rs', place), summary = [], content, encrypted_content } = item;
      return {
        type: 'reasoning',
        id,
        summary,
        ...(content && { content }),
        ...(encrypted_content !== undefined && { encrypted_content }),
      };
    }
    case 'item_reference':
      return undefined;
  }
}

type InputPart = Extract<InputItem, { type: 'message' }>['content'][number];

function toPart(part: InputPart): ItemPart {
  switch (part.type) {
    case 'input_text':
      return { type: 'input_text', text: part.text };
    case 'input_image':
      return { type: 'input_image', image_url: part.image_url, detail: part.detail ?? 'auto' };
    case 'input_file': {
      const { filename, file_data } = part;
      return { type: 'input_file', filename: filename ?? 'file', file_data };
    }
    case 'output_text':
      return { type: 'output_text', text: part.text, annotations: [] };
    case 'refusal':
      return { type: 'refusal', refusal: part.refusal };
  }
}

/**
 * Models refuse a call without an output and an output without a call; here the error has a name.
 * @throws ServiceError invalid_request
 */
export function checkCalls(items: readonly Item[]): void {
  const open = new Set<string>();
  for (const item of items) {
    if (item.type === 'reasoning') continue;
    if (item.type === 'function_call_output') {
      if (!open.delete(item.call_id)) {
        const message = `No tool call found for function call output with call_id ${item.call_id}.`;
        throw new ServiceError('invalid_request', message, { param: 'input' });
      }
    } else if (item.type === 'function_call') {
      if (open.has(item.call_id)) throw invalidInput('must have unique call ids');
      open.add(item.call_id);
    } else assertNoOpenCall(open);
  }
  assertNoOpenCall(open);
}

function assertNoOpenCall(open: ReadonlySet<string>): void {
  const [first] = open;
  if (first === undefined) return;
  const message = `No tool output found for function call ${first}.`;
  throw new ServiceError('invalid_request', message, { param: 'input' });
}

/** @throws ServiceError invalid_request */
export function invalidInput(expected: string): ServiceError {
  const message = `Cannot accept the request: "input" ${expected}`;
  return new ServiceError('invalid_request', message, { param: 'input' });
}

/** Calls that stand together, and the assistant's text before them, are one message. */
export function toMessages(items: readonly Item[]): Message[] {
  const messages: Message[] = [];
  for (const item of items) {
    switch (item.type) {
      case 'message':
        messages.push(toMessage(item));
        break;
      case 'function_call': {
        const last = messages.at(-1);
        const { call_id: id, name, arguments: text } = item;
        const call = { id, name, arguments: text };
        if (last?.role === 'assistant') {
          const { content, toolCalls = [] } = last;
          messages[messages.length - 1] = { ...last, content, toolCalls: [...toolCalls, call] };
        } else messages.push({ role: 'assistant', content: null, toolCalls: [call] });
        break;
      }
      case 'function_call_output':
        messages.push({ role: 'tool', toolCallId: item.call_id, content: item.output });
        break;
      case 'reasoning':
        // The endpoints that this service calls do not take it back.
        break;
    }
  }
  return messages;
}

function toMessage({ role, content }: Extract<Item, { type: 'message' }>): Message {
  if (role === 'user') return { role, content: toContent(content) };
  return { role, content: content.map(textOf).join('') };
}

function textOf(part: ItemPart): string {
  if (part.type === 'refusal') return part.refusal;
  return 'text' in part ? part.text : '';
}

/** Parts without an image or file are one text, so that equal requests have equal cache keys. */
function toContent(parts: readonly ItemPart[]): string | readonly ContentPart[] {
  if (parts.every((part) => 'text' in part)) return parts.map(textOf).join('');
  return parts.map((part): ContentPart => {
    if (part.type === 'input_file') {
      return { type: 'file', filename: part.filename, data: part.file_data };
    }
    if (part.type !== 'input_image') return { type: 'text', text: textOf(part) };
    return { type: 'image', url: part.image_url, detail: part.detail };
  });
}
