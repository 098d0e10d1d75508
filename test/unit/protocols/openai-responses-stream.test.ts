import { describe, expect, it } from 'vitest';
import type { AgentEvent, RunResult } from '../../../shared/agent/agent.ts';
import { ServiceError } from '../../../shared/errors.ts';
import { openAiResponses as protocol } from '../../../shared/protocols/openai-responses.ts';
import { DONE, type SseEvent } from '../../../shared/protocols/protocol.ts';
import { checkStream } from '../../support/responses/check-stream.ts';
import { responseShape } from '../../support/responses/shapes.ts';

const RESULT: RunResult = {
  text: 'Hello',
  model: 'm',
  finishReason: 'stop',
  cached: false,
  usage: { inputTokens: 3, cachedInputTokens: 1, outputTokens: 2, totalTokens: 5 },
  toolCalls: [],
};
const CALLS = [
  { id: 'c1', name: 'look', arguments: '{"a":1}' },
  { id: 'c2', name: 'ring', arguments: '' },
];

function frameOf(body: object = { input: 'Hi' }) {
  return {
    request: protocol.parse(body),
    requestId: 'r',
    startedAt: 1_700_000_000_000,
    publicModel: 'agent',
  };
}

function textOf(events: readonly SseEvent[]): string {
  return events
    .map(({ event, data }) =>
      data === DONE ? 'data: [DONE]\n\n' : `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`,
    )
    .join('');
}

function streamOf(...events: readonly (AgentEvent | ServiceError)[]) {
  const encoder = protocol.openStream(frameOf());
  const started = encoder.start();
  const others = events.flatMap((event) =>
    event instanceof ServiceError ? encoder.fail(event) : encoder.event(event),
  );
  return checkStream(textOf([...started, ...others]));
}

function whole(result: Partial<RunResult>) {
  return responseShape.parse(protocol.encodeResult({ ...RESULT, ...result }, frameOf()));
}

describe('a whole response', () => {
  it('has all fields, and the text as one message', () => {
    const response = whole({});

    expect(response).toMatchObject({
      status: 'completed',
      created_at: 1_700_000_000,
      output: [{ type: 'message', status: 'completed', content: [{ text: 'Hello' }] }],
      usage: { input_tokens: 3, input_tokens_details: { cached_tokens: 1 }, total_tokens: 5 },
    });
  });

  it('has the calls after the text', () => {
    const response = whole({ clientToolCalls: CALLS, finishReason: 'tool_calls' });

    expect(response.output).toMatchObject([
      { type: 'message' },
      { type: 'function_call', call_id: 'c1', name: 'look', arguments: '{"a":1}' },
      { type: 'function_call', call_id: 'c2', status: 'completed' },
    ]);
  });

  it('is incomplete at the bound of its length, and so is its last item', () => {
    const response = whole({ finishReason: 'length', clientToolCalls: CALLS });

    expect(response.incomplete_details).toEqual({ reason: 'max_output_tokens' });
    expect(response.output.map(({ status }) => status)).toEqual([
      'completed',
      'completed',
      'incomplete',
    ]);
  });

  it('has a refusal as a part of its own', () => {
    const response = whole({ text: 'Look:\n\nNo.', refusal: 'No.' });

    expect(response.output).toMatchObject([
      { content: [{ type: 'output_text', text: 'Look:' }, { refusal: 'No.' }] },
    ]);
  });

  it('has one item even if the model wrote nothing', () => {
    const response = whole({ text: '' });

    expect(response.output).toMatchObject([{ content: [{ type: 'output_text', text: '' }] }]);
  });
});

describe('a stream of the Responses API', () => {
  it('adds up to the response of its last event', () => {
    const { events, response } = streamOf(
      { type: 'text-delta', text: 'Hel' },
      { type: 'step-end', usage: RESULT.usage },
      { type: 'text-delta', text: 'lo' },
      { type: 'done', result: { ...RESULT, clientToolCalls: CALLS, finishReason: 'tool_calls' } },
    );

    expect(response.output).toHaveLength(3);
    expect(events.filter(({ type }) => type === 'response.output_text.delta')).toHaveLength(2);
    expect(events.map(({ type }) => type).slice(0, 2)).toEqual([
      'response.created',
      'response.in_progress',
    ]);
  });

  it('has a refusal as events of its own', () => {
    const { events, response } = streamOf(
      { type: 'text-delta', text: 'No.', isRefusal: true },
      { type: 'done', result: { ...RESULT, text: 'No.', refusal: 'No.' } },
    );

    expect(events.map(({ type }) => type)).toContain('response.refusal.delta');
    expect(response.output).toMatchObject([{ content: [{ type: 'refusal', refusal: 'No.' }] }]);
  });

  it('ends as failed with what came before, and without an error event', () => {
    const { events, response } = streamOf(
      { type: 'text-delta', text: 'Hel' },
      new ServiceError('upstream_interrupted', 'The model stopped'),
    );

    expect(response.error).toEqual({ code: 'upstream_interrupted', message: 'The model stopped' });
    expect(response.output).toMatchObject([{ status: 'incomplete', content: [{ text: 'Hel' }] }]);
    expect(events.map(({ type }) => type)).not.toContain('error');
  });

  it('ends as incomplete where the content was filtered', () => {
    const { response } = streamOf(
      { type: 'text-delta', text: 'Hel' },
      new ServiceError('content_filtered', 'Filtered'),
    );

    expect(response.incomplete_details).toEqual({ reason: 'content_filter' });
  });
});
