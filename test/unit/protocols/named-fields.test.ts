import { describe, expect, it } from 'vitest';
import type { Agent, AgentEvent, RunResult } from '../../../shared/agent/agent.ts';
import { runItem } from '../../../shared/batch/processing/run-item.ts';
import { systemClock } from '../../../shared/clock.ts';
import type { ProtocolId } from '../../../shared/protocols/registry.ts';
import { createAuditTrail } from '../../../shared/telemetry/audit.ts';
import { noopTelemetry } from '../../../shared/telemetry/create-telemetry.ts';
import { reserveNothing } from '../../support/batch/jobs.ts';
import { createChat } from '../../support/chat-handler.ts';
import { call, postJson } from '../../support/http-call.ts';

const internalNote = 'planted-internal-note';
const usage = { inputTokens: 1, outputTokens: 1, totalTokens: 2, internalNote };
const toolCall = { name: 'clock', status: 'ok', durationMs: 3, internalNote } as const;
const RESULT = {
  text: 'Hello',
  model: 'm',
  finishReason: 'stop',
  cached: false,
  usage,
  toolCalls: [toolCall],
  internalNote,
} as const satisfies RunResult & { internalNote: string };

function withNote(event: AgentEvent): AgentEvent {
  return Object.assign(event, { internalNote });
}

/** An agent whose every object has a field that is not meant for callers. */
const agent: Agent = {
  run: async () => RESULT,
  async *stream() {
    const { name, status, durationMs } = toolCall;
    const call = { id: 't1', name, internalNote };
    yield { type: 'tool-call', ...call };
    yield { type: 'tool-result', ...call, status, durationMs };
    yield withNote({ type: 'step-end', usage });
    yield withNote({ type: 'text-delta', text: 'Hello' });
    yield withNote({ type: 'done', result: RESULT });
  },
};

const BODIES: readonly [ProtocolId, Record<string, unknown>][] = [
  ['chat', { message: 'Hi' }],
  ['openai.chat-completions', { messages: [{ role: 'user', content: 'Hi' }] }],
  ['openai.responses', { input: 'Hi' }],
];

describe.each(BODIES)('an extra field of a result in the protocol %s', (protocol, body) => {
  it('does not reach the caller in JSON', async () => {
    const { handler } = createChat({ agent }, protocol);

    const response = await call(handler, postJson(body));

    expect(response.text).toContain('Hello');
    expect(response.text).not.toContain(internalNote);
  });

  it('does not reach the caller in a stream', async () => {
    const { handler } = createChat({ agent }, protocol);
    const options =
      protocol === 'openai.chat-completions' ? { stream_options: { include_usage: true } } : {};

    const response = await call(handler, postJson({ ...body, ...options, stream: true }));

    expect(response.headers['content-type']).toContain('text/event-stream');
    expect(response.text).toContain('Hello');
    expect(response.text).not.toContain(internalNote);
  });

  it('does not reach the results of a batch', async () => {
    const item = { custom_id: 'a', body };

    const outcome = await runItem(item, {
      place: { jobId: 'job', index: 0, customId: 'a' },
      agent,
      publicModel: 'assistant',
      itemDeadlineMs: 60_000,
      reserve: reserveNothing,
      stop: new AbortController().signal,
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      agentClock: systemClock,
      telemetry: noopTelemetry,
      audit: createAuditTrail(),
    });

    expect(JSON.stringify(outcome)).toContain('Hello');
    expect(JSON.stringify(outcome)).not.toContain(internalNote);
  });
});
