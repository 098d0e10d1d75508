import * as z from 'zod';
import type { ModelResponse } from '../model/model.ts';
import type { ToolOffer } from './model-request.ts';
import { INITIAL_STATE, type RunState } from './run-state.ts';

/** A step whose model call is paid, and whose response was not used yet. */
export interface PaidStep {
  readonly response: ModelResponse;
  readonly offer: ToolOffer;
  /** The state after the response. */
  readonly state: RunState;
}

/** Where a run goes on after its process ended. */
export interface RunCheckpoint {
  readonly state: RunState;
  readonly paid?: PaidStep | undefined;
  /** Text of the run was sent to the client. */
  readonly isTextSent: boolean;
}

const usage = z.object({
  inputTokens: z.int(),
  cachedInputTokens: z.int().optional(),
  outputTokens: z.int(),
  totalTokens: z.int(),
});
const toolCall = z.object({ id: z.string(), name: z.string(), arguments: z.string() });

const part = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text'), text: z.string() }),
  z.object({
    type: z.literal('image'),
    url: z.string(),
    detail: z.enum(['auto', 'low', 'high', 'original']).optional(),
  }),
  z.object({ type: z.literal('file'), filename: z.string(), data: z.string() }),
]);

const message = z.discriminatedUnion('role', [
  z.object({ role: z.literal('system'), content: z.string() }),
  z.object({ role: z.literal('user'), content: z.union([z.string(), z.array(part)]) }),
  z.object({
    role: z.literal('assistant'),
    content: z.string().nullable(),
    toolCalls: z.array(toolCall).optional(),
  }),
  z.object({ role: z.literal('tool'), toolCallId: z.string(), content: z.string() }),
]);

const state = z.object({
  steps: z.int(),
  added: z.array(message),
  texts: z.array(z.string()),
  usage,
  lastStepTokens: z.int(),
  toolCalls: z.array(
    z.object({
      name: z.string(),
      status: z.enum(['ok', 'failed', 'interrupted']),
      durationMs: z.number(),
    }),
  ),
  hasEffect: z.boolean(),
  interrupted: z.array(toolCall).default([]),
  isCorrection: z.boolean(),
});

const response = z.object({
  text: z.string(),
  refusal: z.string().optional(),
  isTextDropped: z.literal(true).exactOptional(),
  toolCalls: z.array(toolCall),
  finishReason: z.enum(['stop', 'length', 'tool_calls']),
  usage,
  usageEstimated: z.boolean().exactOptional(),
  model: z.string(),
});

const checkpointSchema = z.object({
  state,
  paid: z.object({ response, offer: z.enum(['all', 'own', 'client', 'none']), state }).optional(),
  isTextSent: z.boolean(),
});

/** The checkpoint of a run that begins. */
export const FIRST_CHECKPOINT: RunCheckpoint = { state: INITIAL_STATE, isTextSent: false };

/** Reads a checkpoint of this version. */
export function readCheckpoint(value: unknown): RunCheckpoint {
  return checkpointSchema.parse(value);
}
