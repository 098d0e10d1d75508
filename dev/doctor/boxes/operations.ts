import { hasAlerts, hasReceivers, hasTelemetry } from '../azure.ts';
import { at, everyFile, open, proven, type Section } from '../box.ts';
import {
  exportsTelemetry,
  isHealthy,
  isReady,
  measuresLatency,
  sendsCorrelationIds,
  servesMetrics,
} from '../live-checks.ts';

export const OPERATIONS: readonly Section[] = [
  {
    title: 'Resilience',
    boxes: [
      proven(63, 'Probes', {
        places: [at('functions/health.ts'), at('functions/ready.ts')],
        live: isReady,
      }),
      open(64, 'Startup probe', {
        state: 'another way',
        note: 'the platform sends no traffic before the host has started; for containers see `docs/operations.md`',
      }),
      open(65, 'Disruption budget', {
        state: 'another way',
        note: 'rolling updates drain instances',
        places: [at('infra/modules/app.bicep', /siteUpdateStrategy/)],
      }),
      proven(66, 'Graceful shutdown', {
        places: [at('functions/shutdown.ts', /appTerminate/)],
        note: 'jobs are rescheduled',
      }),
      proven(67, 'Circuit breakers', {
        places: [at('shared/resilience/policies.ts', /circuitBreaker/)],
      }),
    ],
  },
  {
    title: 'Disaster recovery',
    boxes: [
      proven(68, 'Backup', {
        places: [
          at('infra/modules/storage.bicep', /containerDeleteRetentionPolicy: \{ enabled: true/),
          at('infra/modules/vault.bicep', /enableSoftDelete: true/),
          at('docs/runbooks/region-loss.md'),
        ],
        note: 'soft delete of containers and secrets; the runbook lists data without a copy',
      }),
      proven(69, 'Procedures, RTO and RPO', {
        places: [at('docs/runbooks/region-loss.md', /RPO/)],
      }),
      proven(70, 'Several regions considered', {
        places: [at('docs/runbooks/region-loss.md'), at('docs/runbooks/blue-green.md')],
      }),
      open(71, 'Failover rehearsed', {
        state: 'yours',
        note: 'once a year: `docs/runbooks/region-loss.md`',
      }),
    ],
  },
  {
    title: 'Logging',
    boxes: [
      proven(72, 'Structured', {
        places: [at('shared/telemetry/*.ts', /JSON\.stringify/)],
      }),
      proven(73, 'Level', { places: [at('shared/config/agent-schema*.ts', /log_level/)] }),
      proven(74, 'Correlation ids', {
        places: [
          at('shared/http/request-context.ts', /x-request-id[\s\S]*traceparent|traceparent/),
        ],
        live: sendsCorrelationIds,
      }),
      proven(75, 'Nothing personal', {
        places: [
          at('shared/guardrails/log-redactor.ts', /createRedactor/),
          at('docs/runbooks/personal-data-in-logs.md'),
        ],
        note: 'prompts and answers are not logged',
      }),
      proven(76, 'Retention', {
        places: [at('infra/modules/monitor.bicep', /retentionInDays: retentionDays/)],
        note: '`LOG_RETENTION_DAYS`',
      }),
    ],
  },
  {
    title: 'Metrics',
    boxes: [
      proven(77, '/metrics for Prometheus', {
        places: [at('functions/metrics.ts', /route: 'metrics'/)],
        live: servesMetrics,
      }),
      proven(78, 'Key metrics defined', {
        places: [at('shared/telemetry/metrics.ts'), at('docs/telemetry.md', /agent\.build\.info/)],
      }),
      proven(79, 'Latency p50, p95, p99', {
        places: [at('infra/panels/latency.kql', /p50[\s\S]*p95[\s\S]*p99/)],
      }),
      proven(80, 'Request rate', { places: [at('infra/panels/traffic.kql', /requests = sum/)] }),
      proven(81, 'Error rate', {
        places: [at('infra/panels/errors.kql'), at('infra/panels/traffic.kql', /failed =/)],
      }),
      proven(82, 'Tokens', { places: [at('infra/panels/tokens.kql', /token\.usage/)] }),
      proven(83, 'Health', {
        places: [at('infra/modules/probe.bicep', /webtests/)],
        live: isHealthy,
      }),
      proven(84, 'Dashboards', { places: [at('infra/modules/workbook.bicep', /panels/)] }),
      open(85, 'Baseline', {
        state: 'yours',
        note: 'fill in the table in `docs/runbooks/load-test.md`',
        live: measuresLatency,
      }),
    ],
  },
  {
    title: 'Tracing',
    boxes: [
      proven(86, 'OpenTelemetry', {
        places: [at('shared/telemetry/azure-monitor/bridges.ts', /@opentelemetry/)],
      }),
      proven(87, 'Sampling', { places: [at('shared/config/agent-schema*.ts', /sampling_ratio/)] }),
      proven(88, 'W3C context propagated', {
        places: [at('shared/http/request-context.ts', /traceparent/)],
      }),
      proven(89, 'Backend', {
        places: [at('infra/modules/monitor.bicep', /Microsoft\.Insights\/components/)],
        live: exportsTelemetry,
        azure: hasTelemetry,
      }),
    ],
  },
  {
    title: 'Alerts',
    boxes: [
      proven(90, 'Critical alerts', {
        places: [at('infra/modules/alerts.bicep', /severity: 1/)],
        azure: hasAlerts,
      }),
      proven(91, 'Service down', {
        places: [at('infra/modules/probe.bicep', /failedLocationCount: 2/)],
      }),
      proven(92, 'Errors above 5 %', {
        places: [at('infra/queries/error-rate-critical.kql', /> 5$/m)],
      }),
      proven(93, 'p99 above the objective', {
        places: [
          at('infra/queries/latency-p99-critical.kql', /p99 > 10000/),
          at('test/infra/alert-rows.test.ts', /latency-p99-critical/),
        ],
        note: 'a test runs rows of host and app through it',
      }),
      proven(94, 'CPU or memory above 90 %', {
        places: [
          at('infra/queries/resource-exhaustion.kql', /> 0\.90/),
          at('infra/queries/memory-critical.kql', /> 0\.95/),
        ],
      }),
      proven(95, 'Warnings', { places: [at('infra/modules/alerts.bicep', /severity: 2/)] }),
      proven(96, 'Errors above 1 %', {
        places: [at('infra/queries/error-rate-warning.kql', /> 1$/m)],
      }),
      proven(97, 'p99 above the baseline', {
        places: [at('infra/queries/latency-p99-warning.kql', /p99 > 5000/)],
        note: 'set it above your baseline',
      }),
      proven(98, 'CPU or memory above 70 %', {
        places: [at('infra/queries/resource-pressure.kql', /> 0\.70/)],
      }),
      open(99, 'Receivers configured', {
        state: 'yours',
        note: '`ALERT_EMAIL`, `ALERT_SMS`, `ALERT_WEBHOOK_URL`, `WORKING_HOURS_EMAIL`; a hook warns if there is none',
        places: [at('infra/hooks/support/plan-problems.js', /ALERT_EMAIL is empty/)],
        azure: hasReceivers,
      }),
      proven(100, 'Runbooks', {
        places: [at('docs/runbooks/rehearsals.md', /over after/)],
        check: everyFile('docs/runbooks/alerts/*.md', /^# /m),
        note: '`npm run runbooks` tries them with their faults',
      }),
    ],
  },
];
