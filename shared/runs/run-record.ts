import * as z from 'zod';
import type { AgentEvent, AgentInput, Message, RunResult } from '../agent/agent.ts';
import {
  outcomeFields,
  type RecordedStep,
  stepFields,
  withOutcome,
  withStep,
} from '../agent/step-journal.ts';
import { storedProtocol } from '../protocols/registry.ts';
import type { AuditTrail } from '../telemetry/audit.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

/** The owner and the id of a run. Only its owner finds it. */
export interface RunRef {
  /** The caller's scope: a hash without personal data. */
  readonly owner: string;
  readonly id: string;
}

const usage = z.object({
  inputTokens: z.int(),
  cachedInputTokens: z.int().optional(),
  outputTokens: z.int(),
  totalTokens: z.int(),
});
const calls = z.array(z.object({ id: z.string(), name: z.string(), arguments: z.string() }));
const toolCall = {
  name: z.string(),
  status: z.enum(['ok', 'failed', 'interrupted']),
  durationMs: z.number(),
} as const;

const resultSchema: z.ZodType<RunResult> = z.object({
  text: z.string(),
  refusal: z.string().optional(),
  model: z.string(),
  finishReason: z.enum(['stop', 'length', 'tool_calls']),
  cached: z.boolean(),
  usage,
  toolCalls: z.array(z.object(toolCall)),
  clientToolCalls: calls.optional(),
});

const eventSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('text-delta'),
    text: z.string(),
    isRefusal: z.literal(true).exactOptional(),
  }),
  z.object({ type: z.literal('tool-call'), id: z.string(), name: z.string() }),
  z.object({ type: z.literal('tool-result'), id: z.string(), ...toolCall }),
  z.object({ type: z.literal('step-end'), usage }),
  /** The text of this step that was sent is void: a later process repeats the step. */
  z.object({ type: z.literal('restart') }),
]);

/** An event of a run, as its journal keeps it. The end of the run is not one of them. */
export type RunEvent = z.infer<typeof eventSchema>;

/** The events of the agent that a journal keeps. */
export type RecordedAgentEvent = Exclude<AgentEvent, { type: 'done' }>;

const endSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('done'), at: z.int(), result: resultSchema }),
  z.object({ kind: z.literal('failed'), at: z.int(), code: z.string(), message: z.string() }),
  z.object({ kind: z.literal('cancelled'), at: z.int() }),
  /** The run is deleted; the process that works on it removes the rest. */
  z.object({ kind: z.literal('deleted'), at: z.int() }),
]);

/** How a run ended. The first end that is stored counts, so a late result cannot replace another. */
export type RunEnd = z.infer<typeof endSchema>;

/** A message of an earlier run of the same session. */
const historySchema: z.ZodType<Message> = z.discriminatedUnion('role', [
  z.object({ role: z.literal('user'), content: z.string() }),
  z.object({
    role: z.literal('assistant'),
    content: z.string().nullable(),
    toolCalls: calls.optional(),
  }),
  z.object({ role: z.literal('tool'), toolCallId: z.string(), content: z.string() }),
]);

const recordSchema = z.object({
  v: z.literal(1),
  id: z.string(),
  owner: z.string(),
  /** The id of the protocol that the request and its events are encoded in. */
  protocol: z.string(),
  /** The request, as its protocol stores it. */
  request: z.unknown(),
  requestId: z.string(),
  publicModel: z.string(),
  /** Epoch milliseconds. */
  createdAt: z.int(),
  /** Epoch milliseconds; from then on the run is not found any more. */
  expiresAt: z.int(),
  isBackground: z.boolean(),
  /** Text is kept as it arrives, because clients follow the run. */
  isStreamed: z.boolean(),
  /** The conversation or session that the run has until its end. */
  conversationId: z.string().optional(),
  /** The messages before those of the request. */
  history: z.array(historySchema).readonly().optional(),
  /** The rest of a run that was stored when it had ended. */
  finished: z.object({ events: z.array(eventSchema), end: endSchema }).optional(),
});

/** A run, as it is stored when it is created. */
export type RunRecord = z.infer<typeof recordSchema>;

const lineSchema = z.discriminatedUnion('type', [
  /** A delivery starts to work on the run. */
  z.object({ type: z.literal('opened'), at: z.int() }),
  z.object({ type: z.literal('events'), events: z.array(eventSchema) }),
  /** A model call ended, after these events. The calls in `once` are about to begin. */
  z.object({ type: z.literal('step'), events: z.array(eventSchema), ...stepFields }),
  /** A tool call of a step ended, after these events. */
  z.object({ type: z.literal('tool'), events: z.array(eventSchema), ...outcomeFields }),
  /** A delivery failed in a way that a later one may not. */
  z.object({ type: z.literal('attempt'), code: z.string() }),
  /** A delivery ended normally, with work left. */
  z.object({ type: z.literal('closed') }),
  /** The platform moved the message to the poison queue, and the run was queued again. */
  z.object({ type: z.literal('poisoned') }),
]);

/** One line of a journal. */
export type JournalLine = z.infer<typeof lineSchema>;

export const parseRecord = (text: string): RunRecord => recordSchema.parse(JSON.parse(text));
export const parseEnd = (text: string): RunEnd => endSchema.parse(JSON.parse(text));
export const parseLine = (text: string): JournalLine => lineSchema.parse(JSON.parse(text));

/** What the lines of a journal add up to. */
export interface JournalView {
  readonly events: readonly RunEvent[];
  /** The finished steps. */
  readonly steps: readonly RecordedStep[];
  /** When the first delivery started, in epoch milliseconds. */
  readonly startedAt: number | undefined;
  /** Deliveries in a row that ended without a word and without progress. */
  readonly crashes: number;
  /** Failed attempts since the last progress. */
  readonly attempts: number;
  /** How often the message was poison since the last progress. */
  readonly poisonCount: number;
  /** The model found the history too long. */
  readonly isTooLong: boolean;
}

export const EMPTY_JOURNAL: JournalView = {
  events: [],
  steps: [],
  startedAt: undefined,
  crashes: 0,
  attempts: 0,
  poisonCount: 0,
  isTooLong: false,
};

/** The view after one more line. */
export function applyLine(view: JournalView, line: JournalLine): JournalView {
  switch (line.type) {
    case 'opened':
      return { ...view, startedAt: view.startedAt ?? line.at, crashes: view.crashes + 1 };
    case 'events':
      return { ...view, events: [...view.events, ...line.events] };
    case 'step':
      return { ...withProgress(view, line.events), steps: withStep(view.steps, line) };
    case 'tool':
      return { ...withProgress(view, line.events), steps: withOutcome(view.steps, line) };
    case 'attempt':
      if (line.code === 'context_too_long') return { ...view, crashes: 0, isTooLong: true };
      return { ...view, attempts: view.attempts + 1, crashes: 0 };
    case 'closed':
      return { ...view, crashes: 0 };
    case 'poisoned':
      return { ...view, poisonCount: view.poisonCount + 1 };
  }
}

function withProgress(view: JournalView, events: readonly RunEvent[]): JournalView {
  const counts = { crashes: 0, attempts: 0, poisonCount: 0 };
  return { ...view, ...counts, events: [...view.events, ...events] };
}

interface AuditedEnd {
  readonly end: RunEnd;
  readonly audit: AuditTrail;
  readonly telemetry: Telemetry;
}

/** One line for a run that ended here; its tokens are those of all deliveries. */
export function writeRunAudit(
  { id, createdAt }: RunRecord,
  { end, audit, telemetry }: AuditedEnd,
): void {
  if (end.kind === 'done') {
    audit.addResult(end.result);
    audit.addUsage(end.result.usage);
  }
  audit.write((fields) => telemetry.audit(fields), {
    action: 'background run',
    outcome: outcomeOf(end),
    durationMs: end.at - createdAt,
    fields: { runId: id },
  });
}

function outcomeOf(end: RunEnd): string {
  if (end.kind === 'failed') return end.code;
  return end.kind === 'done' ? 'ok' : end.kind;
}

/** What a run asks of the agent. */
export function inputOf(
  { protocol: id, request, history = [] }: RunRecord,
  shorten?: (history: readonly Message[]) => readonly Message[],
): AgentInput {
  const protocol = storedProtocol(id);
  const input = protocol.toInput(protocol.storage.fromJson(request));
  const messages = shorten === undefined ? history : shorten(history);
  return { ...input, messages: [...messages, ...input.messages] };
}

/** The calls of own tools in a run, and their results, as messages. */
export function toolMessagesOf(steps: readonly RecordedStep[]): readonly Message[] {
  return steps.flatMap(({ response, outcomes }) => {
    const ended = response.toolCalls.flatMap((call, index) => {
      const outcome = outcomes.get(index);
      return outcome === undefined ? [] : [{ call, output: outcome.output }];
    });
    if (ended.length === 0) return [];
    return [
      { role: 'assistant' as const, content: null, toolCalls: ended.map(({ call }) => call) },
      ...ended.map(({ call, output }) => ({
        role: 'tool' as const,
        toolCallId: call.id,
        content: output,
      })),
    ];
  });
}

/** The text that clients have read of a run. */
export function textOf(events: readonly RunEvent[]): string {
  let text = '';
  let stepStart = 0;
  for (const event of events) {
    if (event.type === 'text-delta') text += event.text;
    else if (event.type === 'step-end') stepStart = text.length;
    else if (event.type === 'restart') text = text.slice(0, stepStart);
  }
  return text;
}
