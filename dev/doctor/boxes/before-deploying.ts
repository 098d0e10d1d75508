import { hasIdentity } from '../azure.ts';
import { at, everyFile, open, proven, type Section } from '../box.ts';
import { answersChats, isHealthy, isReady, showsLimits } from '../live-checks.ts';
import { findSecrets } from '../source-checks.ts';

export const BEFORE_DEPLOYING: readonly Section[] = [
  {
    title: 'Quick start',
    boxes: [
      proven(1, 'Container image', {
        places: [at('Dockerfile', /^FROM \S+ AS build$/m), at('.github/workflows/container.yml')],
        note: 'an option; `azd up` deploys without a container',
      }),
      proven(2, 'Settings, and secrets from Key Vault', {
        places: [at('shared/config/variables.ts', /vaultName:/), at('infra/modules/vault.bicep')],
      }),
      proven(3, 'Structured logs and OpenTelemetry', {
        places: [
          at('shared/telemetry/*.ts', /JSON\.stringify/),
          at('shared/telemetry/azure-monitor/start.ts', /applicationinsights/),
          at('host.json', /"telemetryMode": "OpenTelemetry"/),
        ],
      }),
      proven(4, 'Errors, retries, circuit breakers', {
        places: [
          at('shared/errors.ts', /retryable/i),
          at('shared/resilience/policies.ts', /cockatiel/),
          at('shared/model/retry-decision.ts', /decideRetry/),
        ],
      }),
      proven(5, 'Horizontal scaling', {
        places: [at('infra/modules/app.bicep', /maximumInstanceCount:/)],
        note: '0 to `MAX_INSTANCES` instances, by calls and queue length',
      }),
      proven(6, 'Monitoring', {
        places: [
          at('infra/modules/monitor.bicep', /Microsoft\.Insights\/components/),
          at('infra/modules/workbook.bicep', /Microsoft\.Insights\/workbooks/),
        ],
      }),
      proven(7, 'Rate limits', {
        places: [at('shared/rate-limit/create-rate-limiter.ts', /createRateLimiter/)],
        live: showsLimits,
      }),
      proven(8, 'Health and readiness', {
        places: [at('functions/health.ts', /route: 'health'/), at('functions/ready.ts')],
        live: isReady,
      }),
      proven(9, 'Pipeline', {
        places: [
          at('.github/workflows/ci.yml', /run: \.ci\/run/),
          at('.github/workflows/azure-dev.yml', /deploy-package\.yml/),
        ],
      }),
      proven(10, 'Load test', {
        places: [at('dev/load.ts'), at('docs/runbooks/load-test.md', /npm run load/)],
        note: '`npm run load -- --url URL`; run it in your environment',
      }),
    ],
  },
  {
    title: 'Before deploying',
    boxes: [
      proven(11, 'All tests pass', {
        places: [at('.ci/run', /npm test/), at('dev/check.ts', /STEPS/)],
        note: 'the pipeline deploys nothing else',
      }),
      proven(12, 'Security scan of the code', {
        places: [at('.github/workflows/codeql.yml', /javascript-security-extended\.qls/)],
        check: findSecrets,
      }),
      proven(13, 'Dependencies audited', {
        places: [
          at('.github/workflows/ci.yml', /npm audit --omit=dev/),
          at('.github/dependabot.yml', /package-ecosystem: npm/),
        ],
      }),
      proven(14, 'Settings documented', {
        places: [
          at('docs/configuration.md', /AZURE_KEY_VAULT_URL/),
          at('test/docs.test.ts', /configuration\.md/),
        ],
      }),
      proven(15, 'Secrets managed', {
        places: [at('docs/secrets.md'), at('shared/secrets/vault-secrets.ts')],
      }),
      proven(16, 'Logs configured for production', {
        places: [at('shared/config/agent-schema*.ts', /log_level[\s\S]{0,200}info/)],
        note: '`telemetry.log_level` is info by default',
      }),
      proven(17, 'Health endpoints', {
        places: [at('shared/http/operations-handler.ts', /handleHealth[\s\S]*handleReady/)],
        live: isHealthy,
      }),
      proven(18, 'Errors are reported', {
        places: [at('shared/http/handler.ts'), at('infra/queries/error-rate-critical.kql')],
      }),
    ],
  },
  {
    title: 'Publishing',
    boxes: [
      proven(19, 'Version increased', {
        places: [
          at('dev/build/describe-build.ts', /packageVersion/),
          at('shared/telemetry/build-info.ts'),
        ],
        note: 'each build carries the version of `package.json` and its commit',
        live: isHealthy,
      }),
      proven(20, 'All tests pass', { places: [at('dev/check.ts', /STEPS/)] }),
      proven(21, 'Changelog kept', { places: [at('CHANGELOG.md', /^## Unreleased\n\n- \*\*/m)] }),
      proven(22, 'README correct', {
        places: [at('test/docs.test.ts', /README/)],
        note: 'a test checks links and settings',
      }),
      proven(23, 'Licence included', {
        places: [at('LICENSE', /MIT/), at('dev/build/third-party-files.ts', /NOTICE/)],
        note: 'those of bundled packages are in NOTICE of the package',
      }),
      proven(24, 'No secret in the source', { check: findSecrets }),
    ],
  },
  {
    title: 'Configuration',
    boxes: [
      proven(25, 'agent.toml is valid', {
        places: [at('agent.toml', /^\[agent\]/m), at('agent.schema.json')],
        note: 'the app does not start with an unknown key; `npm run config` checks it',
      }),
      open(26, 'System prompt reviewed', {
        state: 'yours',
        note: 'read `instructions` in agent.toml',
        places: [at('agent.toml', /instructions/)],
      }),
      proven(27, 'Log level info', {
        places: [at('shared/config/agent-schema*.ts', /log_level[\s\S]{0,200}info/)],
      }),
      proven(28, 'Model deployed and reachable', {
        places: [
          at('infra/modules/ai.bicep', /accounts\/deployments/),
          at('infra/hooks/support/checks.js', /the model does not answer/),
        ],
        live: answersChats,
      }),
      proven(29, 'Tools tested', {
        places: [at('docs/tools.md')],
        check: everyFile('test/unit/agent/tools/*.test.ts', /expect\(/),
      }),
    ],
  },
  {
    title: 'Secrets',
    boxes: [
      proven(30, 'None hard-coded', {
        places: [at('test/infra/access.test.ts', /token\|secret/)],
        check: findSecrets,
      }),
      proven(31, 'Managed identity', {
        places: [at('infra/modules/identity.bicep', /userAssignedIdentities/)],
        azure: hasIdentity,
      }),
      proven(32, 'Key Vault reachable from the app', {
        places: [at('infra/modules/access.bicep', /secretsUser/)],
        note: '`/ready` reports the source of each secret',
        live: isReady,
      }),
      proven(33, 'Rotation plan', {
        places: [at('docs/runbooks/key-rotation.md'), at('shared/secrets/refresh-schedule.ts')],
        note: 'a rotated secret is used without a restart',
      }),
      proven(34, '.env files ignored', {
        places: [at('.gitignore', /^\.env\*$/m), at('.gitignore', /^local\.settings\.json$/m)],
      }),
    ],
  },
  {
    title: 'Container image',
    boxes: [
      proven(35, 'Tagged with a version', {
        places: [at('.github/workflows/container.yml', /--tag "agent:\$GITHUB_SHA"/)],
        note: 'the workflow tags with the commit, never latest',
      }),
      open(36, 'Scanned', {
        state: 'yours',
        note: 'scan it in your registry; `azd up` deploys no image',
      }),
      proven(37, 'Recent base', {
        places: [
          at('Dockerfile', /^FROM node:22-bookworm-slim@sha256:/m),
          at('.github/dependabot.yml', /package-ecosystem: docker/),
        ],
      }),
      proven(38, 'Multi-stage', { places: [at('Dockerfile', /COPY --from=build/)] }),
      proven(39, 'Not root', { places: [at('Dockerfile', /^USER 10001:10001$/m)] }),
    ],
  },
];
