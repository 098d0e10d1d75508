import { hasReceivers, hasTelemetry } from '../azure.ts';
import { at, open, proven, type Section } from '../box.ts';
import {
  answersChats,
  exportsTelemetry,
  isHealthy,
  measuresLatency,
  servesMetrics,
  servesOpenApi,
  usesCache,
} from '../live-checks.ts';

const LOAD_TEST = '`docs/runbooks/load-test.md`';
const DEPLOY = '`docs/runbooks/deploy.md`';

export const AFTER_DEPLOYING: readonly Section[] = [
  {
    title: 'Resources',
    boxes: [
      open(101, 'CPU set by load test', {
        state: 'yours',
        note: `\`INSTANCE_MEMORY_MB\` sets both: ${LOAD_TEST}`,
      }),
      open(102, 'Memory set by load test', { state: 'yours', note: LOAD_TEST }),
      proven(103, 'Autoscaling', {
        places: [at('infra/modules/app.bicep', /perInstanceConcurrency/)],
      }),
      proven(104, 'Scaling limits', {
        places: [at('infra/main.bicep', /param maximumInstanceCount/)],
        note: '`MAX_INSTANCES`, `ALWAYS_READY`',
      }),
    ],
  },
  {
    title: 'Optimisation',
    boxes: [
      proven(105, 'Connections are reused', {
        places: [at('shared/model/*.ts', /keepAlive/)],
      }),
      proven(106, 'Cache', { places: [at('shared/cache/response-cache.ts')], live: usesCache }),
      proven(107, 'Time limits', {
        places: [
          at('shared/config/agent-schema*.ts', /deadline_ms|timeout_ms/),
          at('shared/resilience/abort.ts', /withTimeout/),
        ],
      }),
      proven(108, 'Retries with backoff', {
        places: [at('shared/resilience/retry-policy.ts', /[jJ]itter/)],
      }),
    ],
  },
  {
    title: 'Load',
    boxes: [
      open(109, 'Load test run', { state: 'yours', note: LOAD_TEST }),
      open(110, 'Baseline', { state: 'yours', note: LOAD_TEST, live: measuresLatency }),
      open(111, 'Capacity known', {
        state: 'yours',
        note: 'calculation in `docs/cost.md`; measure your own',
      }),
      open(112, 'Bottlenecks', { state: 'yours', note: `${LOAD_TEST} shows how to find them` }),
    ],
  },
  {
    title: 'Deployment',
    boxes: [
      proven(113, 'Pipeline', {
        places: [at('.github/workflows/azure-dev.yml'), at('.github/workflows/deploy-package.yml')],
      }),
      proven(114, 'Rolling updates', {
        places: [at('infra/modules/app.bicep', /siteUpdateStrategy: \{ type/)],
        note: '`SITE_UPDATE`; a preview of the platform',
      }),
      proven(115, 'Rollback', {
        places: [
          at('.github/workflows/rollback.yml', /cancel-in-progress: true/),
          at('.github/workflows/deploy-package.yml', /last-good/),
          at('docs/runbooks/rollback.md'),
        ],
        note: 'a red smoke test rolls back by itself',
      }),
      open(116, 'Slots, blue/green', {
        state: 'another way',
        note: 'the plan has no slots; two environments replace them',
        places: [at('infra/hooks/switch-traffic.js', /isRed/), at('docs/runbooks/blue-green.md')],
      }),
      proven(117, 'Canary', {
        places: [at('infra/hooks/canary.js', /isRed/), at('docs/runbooks/canary.md')],
        note: 'a test runs it against two apps behind a proxy',
      }),
    ],
  },
  {
    title: 'Documentation',
    boxes: [
      proven(118, 'Runbooks', { places: [at('docs/runbooks/deploy.md')] }),
      proven(119, 'Architecture', {
        places: [at('docs/architecture.md'), at('docs/architecture.svg')],
      }),
      proven(120, 'For consumers of the API', {
        places: [at('openapi.json', /"openapi": "3\.1\.0"/), at('docs/api.md', /## Errors/)],
        note: '`GET /openapi.json`; written from the schemas that validate',
        live: servesOpenApi,
      }),
      proven(121, 'Incident plan', { places: [at('docs/runbooks/incident.md')] }),
    ],
  },
  {
    title: 'Team',
    boxes: [
      open(122, 'On-call schedule', {
        state: 'yours',
        note: '`docs/runbooks/incident.md` lists what to fill in',
      }),
      open(123, 'Access', { state: 'yours', note: 'roles in `docs/security.md`' }),
      open(124, 'Training', {
        state: 'yours',
        note: 'rehearse `docs/runbooks/rollback.md` and `docs/runbooks/region-loss.md`',
      }),
      open(125, 'Channels', { state: 'yours', note: '`docs/runbooks/incident.md`' }),
    ],
  },
  {
    title: 'After deploying',
    boxes: [
      proven(126, 'Health check succeeds', {
        places: [at('infra/hooks/support/checks.js', /checkHealth/)],
        live: isHealthy,
      }),
      proven(127, 'A request succeeds', {
        places: [at('infra/hooks/support/checks.js', /checkChat/)],
        live: answersChats,
      }),
      open(128, 'Metrics arrive', {
        state: 'yours',
        note: `check the workbook: ${DEPLOY}`,
        live: servesMetrics,
        azure: hasTelemetry,
      }),
      open(129, 'Logs arrive', {
        state: 'yours',
        note: `check the workbook: ${DEPLOY}`,
        live: exportsTelemetry,
        azure: hasTelemetry,
      }),
      open(130, 'An alert arrives', {
        state: 'yours',
        note: 'stop the app of a test environment: `docs/runbooks/incident.md`',
        azure: hasReceivers,
      }),
    ],
  },
  {
    title: 'The first day',
    boxes: [
      open(131, 'Errors watched', { state: 'yours', note: DEPLOY }),
      open(132, 'Latency watched', { state: 'yours', note: DEPLOY }),
      open(133, 'Resources watched', { state: 'yours', note: DEPLOY }),
      open(134, 'Logs read', { state: 'yours', note: DEPLOY }),
    ],
  },
  {
    title: 'The first week',
    boxes: [
      open(135, 'Use analysed', {
        state: 'yours',
        note: 'panels by route and caller in the workbook',
        places: [at('infra/modules/workbook.bicep')],
      }),
      open(136, 'Scaling tuned', {
        state: 'yours',
        note: '`HTTP_CONCURRENCY`, `MAX_INSTANCES`: `docs/operations.md`',
      }),
      open(137, 'Costs reviewed', {
        state: 'yours',
        note: '`docs/cost.md`; `MONTHLY_BUDGET` notifies',
      }),
      open(138, 'Feedback gathered', { state: 'yours', note: 'outside this repository' }),
    ],
  },
];
