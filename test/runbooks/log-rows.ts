import type { Row, Tables } from '../infra/support/run-kql.ts';
import type { Envelope } from '../support/ingestion.ts';

/** Tables that the app writes; a query may name one that has no rows yet. */
const TABLES = ['AppRequests', 'AppDependencies', 'AppTraces', 'AppMetrics', 'AppEvents'] as const;

/** The rows that Application Insights makes of what the app exported since a time. */
export function toTables(envelopes: readonly Envelope[], since: Date): Tables {
  const tables = new Map<string, Row[]>(TABLES.map((name) => [name, []]));
  for (const envelope of envelopes) {
    if (new Date(envelope.time) < since) continue;
    const { table, row } = toRow(envelope);
    tables.get(table)?.push(row);
  }
  return Object.fromEntries(tables);
}

function toRow({ time, tags, data }: Envelope): { readonly table: string; readonly row: Row } {
  const { baseType, baseData } = data;
  const common = {
    TimeGenerated: new Date(time),
    OperationId: tags['ai.operation.id'],
    AppRoleInstance: tags['ai.cloud.roleInstance'],
    AppVersion: tags['ai.application.ver'],
    Properties: baseData.properties ?? {},
    Name: baseData.name,
    // Nothing is sampled here.
    ItemCount: 1,
  };
  const durationMs = toMilliseconds(baseData['duration']);
  switch (baseType) {
    case 'RequestData': {
      const row = { ...common, ResultCode: baseData.responseCode, DurationMs: durationMs };
      return { table: 'AppRequests', row };
    }
    case 'RemoteDependencyData': {
      const row = { ...common, ResultCode: baseData.resultCode, DurationMs: durationMs };
      return { table: 'AppDependencies', row };
    }
    case 'MetricData': {
      const [metric] = baseData.metrics ?? [];
      const value = metric?.value ?? 0;
      const { count = 1, max = value, min = value } = metric ?? {};
      const row = {
        ...common,
        Name: metric?.name,
        Sum: value,
        Max: max,
        Min: min,
        ItemCount: count,
      };
      return { table: 'AppMetrics', row };
    }
    case 'EventData':
      return { table: 'AppEvents', row: common };
    default:
      return { table: 'AppTraces', row: { ...common, Message: baseData.message } };
  }
}

/** Milliseconds of `days.hours:minutes:seconds`; the days are left out where there are none. */
function toMilliseconds(duration: unknown): number {
  const parts = /^(?:(\d+)\.)?(\d+):(\d+):([\d.]+)$/.exec(String(duration));
  const [days = 0, hours = 0, minutes = 0, seconds = 0] = (parts ?? [])
    .slice(1)
    .map((part: string | undefined) => Number(part ?? 0));
  return (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1_000;
}
