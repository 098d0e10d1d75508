import { describe, expect, it } from 'vitest';
import { startRequestRecord } from '../../../shared/http/request-context.ts';
import { createAuditTrail } from '../../../shared/telemetry/audit.ts';
import { createMeteredTelemetry } from '../../support/metered-telemetry.ts';

const REQUEST = {
  method: 'POST',
  route: '/api/chat',
  requestId: 'one',
  traceparent: '00-11112222333344445555666677778888-1234123412341234-01',
  startedAt: 0,
  audit: createAuditTrail(),
  clientDisconnected: new AbortController().signal,
};
const COUNT = 'http_server_request_duration_seconds_count';

describe('startRequestRecord', () => {
  it('measures an answer when it is given', () => {
    const { telemetry, value, spans } = createMeteredTelemetry();

    startRequestRecord(telemetry, REQUEST).respond(200);

    const labels = { http_route: '/api/chat', http_response_status_code: '200' };
    expect(value(COUNT, labels)).toBe(1);
    expect(spans).toEqual([expect.objectContaining({ name: 'POST /api/chat', ended: 1 })]);
  });

  it('measures a stream when it ends, with the code it ended with', () => {
    const { telemetry, value } = createMeteredTelemetry();
    const record = startRequestRecord(telemetry, REQUEST);

    const end = record.startStream();
    record.respond(200);
    const before = value(COUNT);
    end('upstream_interrupted');

    expect([before, value(COUNT, { agent_stream: 'true' })]).toEqual([0, 1]);
    expect(value('agent_request_errors_total', { error_type: 'upstream_interrupted' })).toBe(1);
  });

  it('measures a stream that failed before it began as a failure', () => {
    const { telemetry, value } = createMeteredTelemetry();
    const record = startRequestRecord(telemetry, REQUEST);

    record.startStream();
    record.respond(503, 'overloaded');

    expect(value(COUNT, { http_response_status_code: '503', agent_stream: 'false' })).toBe(1);
  });

  it('counts nothing twice', () => {
    const { telemetry, value, spans } = createMeteredTelemetry();
    const record = startRequestRecord(telemetry, REQUEST);
    const end = record.startStream();

    record.respond(200);
    end();
    end('upstream_interrupted');

    expect(value(COUNT)).toBe(1);
    expect(value('agent_request_errors_total')).toBe(0);
    expect(spans.map(({ ended }) => ended)).toEqual([1]);
  });

  it('calls back once at the end of a response, of a stream, and of a disconnected stream', () => {
    const { telemetry } = createMeteredTelemetry();
    const client = new AbortController();
    const ended: string[] = [];
    const start = (name: string) => {
      const record = startRequestRecord(telemetry, {
        ...REQUEST,
        clientDisconnected: client.signal,
      });
      record.onEnd(() => ended.push(name));
      return record;
    };

    start('response').respond(200);
    const endStream = start('stream').startStream();
    start('disconnected').startStream();
    const before = [...ended];
    endStream();
    client.abort();
    endStream();

    expect(before).toEqual(['response']);
    expect(ended).toEqual(['response', 'stream', 'disconnected']);
  });
});
