import type { AgentEvent, RunResult } from '../agent/agent.ts';
import type { ServiceError } from '../errors.ts';
import type { ModelToolCall } from '../model/model.ts';
import { type Item, type ItemPart, type ItemStatus, itemId } from './openai-responses-items.ts';
import {
  encodeItem,
  encodePart,
  type ResponseResource,
  type ResponseState,
  toResource,
} from './openai-responses-object.ts';
import {
  parseResponsesRequest,
  type ResponsesRequest,
  responsesRequestFromJson,
  responsesRequestToJson,
  toAgentInput,
} from './openai-responses-request.ts';
import {
  DONE,
  type Frame,
  OPENAI_ERROR_CODES,
  type Protocol,
  type SseEvent,
  type StreamEncoder,
} from './protocol.ts';

/** The protocol of OpenAI's Responses API: a list of items, and streams with numbered events. */
export const openAiResponses: Protocol<ResponsesRequest> = {
  id: 'openai.responses',
  batchUrl: '/v1/responses',
  recognizes: (body) => typeof body === 'object' && body !== null && 'input' in body,
  parse: parseResponsesRequest,
  errorCodes: OPENAI_ERROR_CODES,
  toInput: toAgentInput,
  wantsStream: ({ params }) => params.stream ?? false,
  encodeResult: toResponse,
  openStream: (frame) => createResponseStream(frame),
  storage: { toJson: responsesRequestToJson, fromJson: responsesRequestFromJson },
};

type ResponsesFrame = Frame<ResponsesRequest>;

/** A whole response is what a stream of it would end with. */
function toResponse(result: RunResult, frame: ResponsesFrame): ResponseResource {
  const stream = createResponseStream(frame);
  for (const event of textEventsOf(result)) stream.event(event);
  stream.event({ type: 'done', result });
  return stream.resource();
}

type TextDelta = Extract<AgentEvent, { type: 'text-delta' }>;

/** The text of a whole result as the events that a stream of it would have. */
export function textEventsOf({ text, refusal }: RunResult): TextDelta[] {
  const answer = refusal === undefined ? text : withoutEnd(text, refusal);
  return [
    ...(answer === '' ? [] : [{ type: 'text-delta', text: answer } as const]),
    ...(refusal === undefined
      ? []
      : [{ type: 'text-delta', text: refusal, isRefusal: true } as const]),
  ];
}

/** The text of the steps before the one that refused. */
function withoutEnd(text: string, end: string): string {
  return text.endsWith(end) ? text.slice(0, text.length - end.length).trimEnd() : '';
}

export interface ResponseStream extends StreamEncoder {
  /** The response as it is after the last event. */
  resource(): ResponseResource;
  /** The items that are done. */
  items(): readonly Item[];
}

/** Encodes one stream: each event has the number that follows that of the event before. */
export function createResponseStream(frame: ResponsesFrame): ResponseStream {
  const writer: Writer = {
    frame,
    sequenceNumber: 0,
    state: { status: isBackground(frame) ? 'queued' : 'in_progress', output: [] },
    message: undefined,
  };
  return {
    start: () => [...start(writer)],
    event: (event) => [...encode(writer, event)],
    fail: (error) => [...fail(writer, error)],
    restart: () => [...closeMessage(writer, 'incomplete')],
    cancel() {
      writer.state = { ...writer.state, status: 'cancelled' };
      return [{ data: DONE }];
    },
    resource: () => resourceOf(writer),
    items: () => writer.state.output,
    snapshot(status) {
      const isOpen = writer.state.status === 'queued' || writer.state.status === 'in_progress';
      return toResource(frame, isOpen ? { ...writer.state, status } : writer.state);
    },
  };
}

/** A stream between two events. */
interface Writer {
  readonly frame: ResponsesFrame;
  /** The number of the next event. */
  sequenceNumber: number;
  state: ResponseState;
  /** The message that is not complete yet. */
  message: OpenMessage | undefined;
}

interface OpenMessage {
  readonly id: string;
  readonly parts: ItemPart[];
}

function resourceOf({ frame, state }: Writer): ResponseResource {
  return toResource(frame, state);
}

/** The same at each encoding of a stored run. */
function nextId(prefix: 'msg' | 'fc', { frame, state }: Writer): string {
  const { id: responseId } = frame.request;
  return itemId(prefix, { responseId, kind: 'output', index: state.output.length });
}

type Fields = Readonly<Record<string, unknown>>;

function emit(writer: Writer, type: string, fields: Fields): SseEvent {
  const data = { type, sequence_number: writer.sequenceNumber, ...fields };
  writer.sequenceNumber += 1;
  return { event: type, data };
}

function isBackground({ request: { params } }: ResponsesFrame): boolean {
  return params.background === true;
}

function* start(writer: Writer): Generator<SseEvent> {
  yield emit(writer, 'response.created', { response: resourceOf(writer) });
  if (isBackground(writer.frame)) {
    yield emit(writer, 'response.queued', { response: resourceOf(writer) });
  } else yield emit(writer, 'response.in_progress', { response: resourceOf(writer) });
}

/** A run in the background is in progress from its first event on. */
function* begin(writer: Writer): Generator<SseEvent> {
  if (writer.state.status !== 'queued') return;
  writer.state = { ...writer.state, status: 'in_progress' };
  yield emit(writer, 'response.in_progress', { response: resourceOf(writer) });
}

function* encode(writer: Writer, event: AgentEvent): Generator<SseEvent> {
  yield* begin(writer);
  if (event.type === 'text-delta') yield* addText(writer, event);
  else if (event.type === 'done') yield* finish(writer, event.result);
  // The agent runs its own tools itself; in this protocol a call is a request to the client.
}

function* addText(
  writer: Writer,
  { text, isRefusal }: Omit<TextDelta, 'type'>,
): Generator<SseEvent> {
  const type = isRefusal === true ? 'refusal' : 'output_text';
  const place = { output_index: writer.state.output.length };
  if (writer.message === undefined) {
    writer.message = { id: nextId('msg', writer), parts: [] };
    const item = encodeItem(toMessageItem(writer.message, 'in_progress'));
    yield emit(writer, 'response.output_item.added', { ...place, item });
  }
  const { id: item_id, parts } = writer.message;
  if (parts.at(-1)?.type !== type) {
    yield* closePart(writer);
    const part = emptyPart(type);
    parts.push(part);
    yield emit(writer, 'response.content_part.added', {
      item_id,
      ...place,
      content_index: parts.length - 1,
      part: encodePart(part),
    });
  }
  const content_index = parts.length - 1;
  parts.push(withText(parts.pop() ?? emptyPart(type), text));
  if (text === '') return;
  const delta = { item_id, ...place, content_index, delta: text };
  const logprobs = type === 'output_text' ? { logprobs: [] } : {};
  yield emit(writer, `response.${type}.delta`, { ...delta, ...logprobs });
}

function* closePart(writer: Writer): Generator<SseEvent> {
  const { message, state } = writer;
  const part = message?.parts.at(-1);
  if (message === undefined || part === undefined) return;
  const place = {
    item_id: message.id,
    output_index: state.output.length,
    content_index: message.parts.length - 1,
  };
  if (part.type === 'refusal') {
    yield emit(writer, 'response.refusal.done', { ...place, refusal: part.refusal });
  } else if (part.type === 'output_text') {
    yield emit(writer, 'response.output_text.done', { ...place, text: part.text, logprobs: [] });
  }
  yield emit(writer, 'response.content_part.done', { ...place, part: encodePart(part) });
}

function* closeMessage(writer: Writer, status: ItemStatus): Generator<SseEvent> {
  const { message } = writer;
  if (message === undefined) return;
  yield* closePart(writer);
  writer.message = undefined;
  yield closeItem(writer, toMessageItem(message, status));
}

function closeItem(writer: Writer, item: Item): SseEvent {
  const output_index = writer.state.output.length;
  writer.state = { ...writer.state, output: [...writer.state.output, item] };
  return emit(writer, 'response.output_item.done', { output_index, item: encodeItem(item) });
}

function* addCall(
  writer: Writer,
  { id: call_id, name, arguments: text }: ModelToolCall,
  status: ItemStatus,
): Generator<SseEvent> {
  const output_index = writer.state.output.length;
  const id = nextId('fc', writer);
  const item = { type: 'function_call', id, call_id, name, arguments: text, status } as const;
  const open = { ...item, status: 'in_progress', arguments: '' } as const;
  yield emit(writer, 'response.output_item.added', { output_index, item: encodeItem(open) });
  const place = { item_id: id, output_index };
  if (text !== '') {
    yield emit(writer, 'response.function_call_arguments.delta', { ...place, delta: text });
  }
  const done = { ...place, name, arguments: text };
  yield emit(writer, 'response.function_call_arguments.done', done);
  yield closeItem(writer, item);
}

function* finish(writer: Writer, result: RunResult): Generator<SseEvent> {
  const { clientToolCalls: calls = [], finishReason, usage } = result;
  const isCut = finishReason === 'length';
  const lastStatus = isCut ? 'incomplete' : 'completed';
  // A response has at least one item, also where the model wrote nothing.
  if (writer.message === undefined && calls.length === 0) yield* addText(writer, { text: '' });
  yield* closeMessage(writer, calls.length === 0 ? lastStatus : 'completed');
  for (const [index, call] of calls.entries()) {
    yield* addCall(writer, call, index === calls.length - 1 ? lastStatus : 'completed');
  }
  writer.state = isCut
    ? { ...writer.state, status: 'incomplete', reason: 'max_output_tokens', usage }
    : {
        ...writer.state,
        status: 'completed',
        completedAt: writer.frame.endedAt?.() ?? Date.now(),
        usage,
      };
  yield* end(writer);
}

function* fail(writer: Writer, { code, message: text }: ServiceError): Generator<SseEvent> {
  yield* begin(writer);
  yield* closeMessage(writer, 'incomplete');
  writer.state =
    code === 'content_filtered'
      ? { ...writer.state, status: 'incomplete', reason: 'content_filter' }
      : { ...writer.state, status: 'failed', error: { code, message: text } };
  yield* end(writer);
}

function* end(writer: Writer): Generator<SseEvent> {
  const { status } = writer.state;
  yield emit(writer, `response.${status}`, { response: resourceOf(writer) });
  yield { data: DONE };
}

function emptyPart(type: 'output_text' | 'refusal'): ItemPart {
  return type === 'refusal' ? { type, refusal: '' } : { type, text: '', annotations: [] };
}

function withText(part: ItemPart, text: string): ItemPart {
  if (part.type === 'refusal') return { ...part, refusal: part.refusal + text };
  return part.type === 'output_text' ? { ...part, text: part.text + text } : part;
}

function toMessageItem({ id, parts }: OpenMessage, status: ItemStatus): Item {
  return { type: 'message', id, status, role: 'assistant', content: [...parts] };
}
