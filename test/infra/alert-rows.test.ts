import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { runKql, type Row, type Tables } from './support/run-kql.ts';

const NOW = new Date('2026-01-01T12:00:00Z');
const MINUTE_MS = 60_000;

interface Call {
  readonly name?: string;
  readonly status?: number;
  readonly durationMs?: number;
  readonly isStream?: boolean;
  readonly minutesAgo?: number;
}

let traces = 0;

/** The row that the host writes for a call; it knows nothing of streams. */
function hostRow({
  name = 'POST /api/chat',
  status = 200,
  durationMs = 900,
  minutesAgo = 1,
}: Call) {
  return {
    TimeGenerated: new Date(NOW.getTime() - minutesAgo * MINUTE_MS),
    OperationId: `trace-${(traces += 1)}`,
    Name: name,
    ResultCode: String(status),
    DurationMs: durationMs,
    ItemCount: 1,
    AppRoleInstance: 'one',
    AppVersion: '',
    Properties: {},
  };
}

/** Both rows of a call: the host's and the app's. */
function call(options: Call = {}): Row[] {
  const host = hostRow(options);
  const own = { 'agent.request.id': 'a', 'agent.stream': String(options.isStream ?? false) };
  return [host, { ...host, AppVersion: '1.0.0', Properties: own }];
}

function calls(count: number, options: Call = {}): Row[] {
  return Array.from({ length: count }, () => call(options)).flat();
}

function metric(name: string, sum: number, attributes: Row = {}): Row {
  return {
    TimeGenerated: NOW,
    Name: name,
    Sum: sum,
    Max: sum,
    ItemCount: 1,
    AppRoleInstance: 'one',
    Properties: attributes,
  };
}

function fires(alert: string, tables: Tables): boolean {
  const query = readFileSync(`infra/queries/${alert}.kql`, 'utf8');
  return runKql(query, { tables, now: NOW }).length > 0;
}

describe('the latency alerts', () => {
  const slowStreams = [...calls(92), ...calls(8, { isStream: true, durationMs: 60_000 })];

  it.each(['latency-p99-critical', 'latency-p99-warning'])(
    '%s ignores streams that are long by design',
    (alert) => {
      expect(fires(alert, { AppRequests: slowStreams })).toBe(false);
    },
  );

  it.each([
    ['latency-p99-critical', 12_000, true],
    ['latency-p99-critical', 6_000, false],
    ['latency-p99-warning', 6_000, true],
    ['latency-p99-warning', 4_000, false],
  ])('%s with whole answers of %i ms fires: %s', (alert, durationMs, expected) => {
    const slow = [...calls(90), ...calls(10, { durationMs })];

    expect(fires(alert, { AppRequests: slow })).toBe(expected);
  });
});

describe('the error rate alerts', () => {
  it.each([
    ['error-rate-critical', 6, true],
    ['error-rate-critical', 4, false],
    ['error-rate-warning', 2, true],
    ['error-rate-warning', 1, false],
  ])('%s counts each call once: %i of 100 failed, fires: %s', (alert, failed, expected) => {
    const rows = [...calls(100 - failed), ...calls(failed, { status: 503 })];

    expect(fires(alert, { AppRequests: rows })).toBe(expected);
  });

  it('fires for calls that only the host saw, because the worker was gone', () => {
    const lost = Array.from({ length: 10 }, () => hostRow({ status: 500 }));

    expect(fires('error-rate-critical', { AppRequests: [...calls(90), ...lost] })).toBe(true);
  });

  it.each(['GET /ready', 'GET /health', 'GET /health/ready', 'ready'])(
    'ignores the probe %s',
    (name) => {
      const probes = Array.from({ length: 50 }, () => hostRow({ name, status: 503 }));

      expect(fires('error-rate-critical', { AppRequests: [...calls(50), ...probes] })).toBe(false);
    },
  );

  it('ignores queue jobs of the host, which have no status', () => {
    const jobs = Array.from({ length: 400 }, () => ({
      ...hostRow({ name: 'batch' }),
      ResultCode: '0',
    }));
    const rows = [...calls(94), ...calls(6, { status: 500 }), ...jobs];

    expect(fires('error-rate-critical', { AppRequests: rows })).toBe(true);
  });
});

describe('the burn rate alerts', () => {
  const old = calls(100, { minutesAgo: 40 });

  it('slo-fast-burn needs errors in the hour and in the last five minutes', () => {
    const burning = [...calls(90), ...calls(10, { status: 500 })];
    const over = [...calls(50, { minutesAgo: 30, status: 500 }), ...calls(50)];

    expect(fires('slo-fast-burn', { AppRequests: burning })).toBe(true);
    expect(fires('slo-fast-burn', { AppRequests: over })).toBe(false);
    expect(fires('slo-fast-burn', { AppRequests: calls(5, { status: 500 }) })).toBe(false);
  });

  it('slo-slow-burn needs errors in six hours and in the last half hour', () => {
    const burning = [...old, ...calls(90), ...calls(10, { status: 500 })];

    expect(fires('slo-slow-burn', { AppRequests: burning })).toBe(true);
    expect(fires('slo-slow-burn', { AppRequests: [...old, ...calls(100)] })).toBe(false);
  });
});

describe('the alerts on metrics and logs', () => {
  const throttled = { 'error.type': 'upstream_rate_limited' };
  const duration = 'gen_ai.client.operation.duration';
  const modelCalls = (count: number, attributes: Row = {}): Row[] =>
    Array.from({ length: count }, () => metric(duration, 1, attributes));

  it.each<[string, boolean, readonly Row[]]>([
    ['circuit-open', true, [metric('agent.circuit.opened', 1)]],
    ['circuit-open', false, [metric('agent.circuit.opened', 0)]],
    ['memory-critical', true, [metric('process.memory.utilization', 0.97)]],
    ['memory-critical', false, [metric('process.memory.utilization', 0.9)]],
    ['resource-exhaustion', true, [metric('process.cpu.utilization', 0.95)]],
    ['resource-exhaustion', false, [metric('process.cpu.utilization', 0.8)]],
    ['resource-pressure', true, [metric('process.cpu.utilization', 0.8)]],
    ['resource-pressure', false, [metric('process.cpu.utilization', 0.5)]],
    ['batch-poisoned', true, [metric('agent.batch.poisoned', 1)]],
    ['batch-poisoned', false, []],
    ['runs-poisoned', true, [metric('agent.background.poisoned', 1)]],
    ['runs-poisoned', false, []],
    ['secrets-stale', true, [metric('agent.secrets.failures', 2)]],
    ['secrets-stale', false, [metric('agent.secrets.failures', 1)]],
    ['redis-away', true, [metric('agent.redis.failures', 1)]],
    ['redis-away', false, []],
    ['model-throttled', true, [...modelCalls(90), ...modelCalls(10, throttled)]],
    ['model-throttled', false, [...modelCalls(98), ...modelCalls(2, throttled)]],
    ['batch-stalled', true, [metric('agent.batch.message.age', 1_000)]],
    ['batch-stalled', false, [metric('agent.batch.message.age', 100)]],
    ['runs-stalled', true, [metric('agent.background.queue.age', 400)]],
    ['runs-stalled', false, [metric('agent.background.queue.age', 100)]],
  ])('%s fires: %s', (alert, expected, rows) => {
    expect(fires(alert, { AppMetrics: rows, StorageQueueLogs: [] })).toBe(expected);
  });

  it('batch-stalled fires when messages are written and none is finished', () => {
    const message = (operation: string): Row => ({
      OperationName: operation,
      Uri: 'https://st.queue.core.windows.net/batch-jobs/messages',
    });
    const written = { AppMetrics: [], StorageQueueLogs: [message('PutMessage')] };
    const finished = {
      AppMetrics: [],
      StorageQueueLogs: [message('PutMessage'), message('DeleteMessage')],
    };

    expect(fires('batch-stalled', written)).toBe(true);
    expect(fires('batch-stalled', finished)).toBe(false);
  });

  it('model-needs-operator and log-cap-reached fire by log lines', () => {
    const line = { Message: 'model endpoint misconfigured', ItemCount: 1, Properties: {} };
    const cap = { Category: 'Ingestion', Detail: 'OverQuota reached' };

    expect(fires('model-needs-operator', { AppTraces: [line] })).toBe(true);
    expect(fires('model-needs-operator', { AppTraces: [{ ...line, Message: 'ok' }] })).toBe(false);
    expect(fires('log-cap-reached', { _LogOperation: [cap] })).toBe(true);
    expect(fires('log-cap-reached', { _LogOperation: [] })).toBe(false);
  });
});

describe('the panels', () => {
  function run(panel: string, rows: readonly Row[]): readonly Row[] {
    const query = readFileSync(`infra/panels/${panel}.kql`, 'utf8');
    return runKql(query, { tables: { AppRequests: rows }, now: NOW });
  }

  it('count each call once', () => {
    expect(run('traffic', [...calls(3), ...calls(1, { status: 500 })])).toMatchObject([
      { requests: 4, failed: 1 },
    ]);
  });

  it('show the versions of the app, not of the host', () => {
    expect(run('rollout', calls(2))).toMatchObject([{ AppVersion: '1.0.0', requests: 2 }]);
  });

  it('show the latency of whole answers', () => {
    const rows = [...calls(99), ...calls(9, { isStream: true, durationMs: 60_000 })];

    expect(run('latency', rows)).toMatchObject([{ p50: 900, p99: 900 }]);
  });
});
