import { SpanStatusCode, trace, type Context } from '@opentelemetry/api';
import type { Logger, LogRecord as OtelLogRecord } from '@opentelemetry/api-logs';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { describe, expect, it } from 'vitest';
import { createRedactingSpanProcessor } from '../../../shared/telemetry/azure-monitor/start.ts';
import { createLogSink } from '../../../shared/telemetry/azure-monitor/bridges.ts';
import { createRedactor } from '../../../shared/guardrails/log-redactor.ts';

const redact = createRedactor({ secrets: () => ['secret-canary'] });

describe('the redacting span processor (H20)', () => {
  it('exports metadata, but no messages of errors, callers or requests', () => {
    const inner = new InMemorySpanExporter();
    const spanProcessors = [new SimpleSpanProcessor(inner), createRedactingSpanProcessor(redact)];
    const tracer = new BasicTracerProvider({ spanProcessors }).getTracer('test');
    const span = tracer.startSpan('POST secret-canary', {
      attributes: {
        'error.type': 'got secret-canary',
        'gen_ai.response.finish_reasons': ['jane@example.org'],
        'gen_ai.usage.input_tokens': 7,
        'network.peer.address': '192.0.2.7',
        'server.address': '198.51.100.4',
        'url.full': 'https://198.51.100.4/v1?code=query-canary',
        'url.query': '?code=query-canary',
        'user_agent.original': 'agent-canary',
      },
    });

    span.recordException(new Error('message-canary'));
    span.setStatus({ code: SpanStatusCode.ERROR, message: 'status-canary' });
    span.end();

    const [sent] = inner.getFinishedSpans();
    expect(sent?.attributes).toEqual({
      'error.type': 'got [secret]',
      'gen_ai.response.finish_reasons': ['[e-mail]'],
      'gen_ai.usage.input_tokens': 7,
      'server.address': '198.51.100.4',
      'url.full': 'https://198.51.100.4/v1',
    });
    expect([sent?.name, sent?.events, sent?.status]).toEqual([
      'POST [secret]',
      [],
      { code: SpanStatusCode.ERROR },
    ]);
    expect(sent?.spanContext().traceId).toBe(span.spanContext().traceId);
    expect(sent?.duration).toBeDefined();
  });
});

function setUpLog() {
  const records: (OtelLogRecord & { context?: Context })[] = [];
  const logger: Logger = {
    emit: (record) => void records.push(record),
    enabled: () => true,
  };
  return { records, log: createLogSink(logger, redact) };
}

describe('createLogSink', () => {
  it('hides secrets and personal data, cuts what is long and drops what is absent (H19, H20)', () => {
    const { records, log } = setUpLog();

    log({
      level: 'warn',
      message: 'something happened',
      fields: {
        cause: 'got secret-canary',
        from: 'jane@example.org',
        long: 'x '.repeat(500_000),
        count: 7,
        none: null,
        absent: undefined,
      },
    });

    const attributes = records[0]?.attributes ?? {};
    expect(attributes).toMatchObject({ cause: 'got [secret]', from: '[e-mail]', count: 7 });
    expect(attributes).toMatchObject({ long: expect.stringMatching(/^[x ]{1,2000}$/) });
    expect(Object.keys(attributes)).toEqual(['cause', 'from', 'long', 'count']);
    expect(records[0]).toMatchObject({ body: 'something happened', severityText: 'warn' });
  });

  it('sets the span that its fields name', () => {
    const { records, log } = setUpLog();
    const fields = { traceId: '11112222333344445555666677778888', spanId: '1234123412341234' };

    log({ level: 'info', message: 'm', fields });
    log({ level: 'info', message: 'm', fields: {} });

    const spans = records.map(({ context }) => context && trace.getSpanContext(context));
    expect(spans).toEqual([expect.objectContaining(fields), undefined]);
  });

  it('makes a defect an exception with its class and place, and our words for its message', () => {
    const { records, log } = setUpLog();

    log({
      level: 'error',
      message: 'request failed',
      fields: { code: 'internal', cause: 'TypeError <- RangeError', place: 'run agent.ts:7:1' },
    });
    log({ level: 'warn', message: 'model call failed', fields: { cause: 'UpstreamFailure x' } });

    expect(records[0]?.attributes).toMatchObject({
      'exception.type': 'TypeError',
      'exception.message': 'request failed',
      'exception.stacktrace': 'run agent.ts:7:1',
    });
    expect(records[1]?.attributes).not.toHaveProperty(['exception.type']);
  });
});
