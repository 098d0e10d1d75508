import { hasIdentity, requiresHttps } from '../azure.ts';
import { at, open, proven, type Section } from '../box.ts';
import {
  isBehindFrontDoor,
  isHealthy,
  redirectsToHttps,
  refusesOrigins,
  refusesStrangers,
  showsLimits,
  usesModernTls,
  validatesInput,
} from '../live-checks.ts';

export const SECURITY: readonly Section[] = [
  {
    title: 'Authentication and authorisation',
    boxes: [
      proven(40, 'Managed identity', {
        places: [at('infra/modules/identity.bicep', /userAssignedIdentities/)],
        azure: hasIdentity,
      }),
      proven(41, 'Least privilege', {
        places: [
          at('infra/modules/access.bicep', /read only/),
          at('infra/main.snapshot.json', /roleAssignments/),
          at('docs/security.md'),
        ],
        note: 'the snapshot shows each role in review',
      }),
      proven(42, 'Callers authenticate', {
        places: [
          at('functions/chat.ts', /authLevel: routeAuthLevel\(\)/),
          at('infra/modules/app.bicep', /requireAuthentication/),
        ],
        note: 'function keys by default, Entra ID with `AUTH_CLIENT_ID`, caller keys with the secret `caller-keys`',
        live: refusesStrangers,
      }),
      proven(43, 'Rate limits', {
        places: [at('docs/limits-and-cache.md'), at('shared/rate-limit/create-rate-limiter.ts')],
        live: showsLimits,
      }),
      proven(44, 'CORS restricted', {
        places: [
          at('infra/modules/app.bicep', /allowedOrigins: empty\(corsOrigins\) \? \[\]/),
          at('infra/hooks/support/plan-problems.js', /never \*/),
        ],
        live: refusesOrigins,
      }),
    ],
  },
  {
    title: 'Network',
    boxes: [
      proven(45, 'https only', {
        places: [
          at('infra/modules/app.bicep', /httpsOnly: true/),
          at('host.json', /"hsts": \{ "isEnabled": true/),
        ],
        live: redirectsToHttps,
        azure: requiresHttps,
      }),
      proven(46, 'TLS 1.2 or newer', {
        places: [
          at('infra/modules/app.bicep', /minTlsVersion: '1\.2'/),
          at('infra/modules/storage.bicep', /minimumTlsVersion: 'TLS1_2'/),
        ],
        live: usesModernTls,
      }),
      proven(47, 'Private network considered', {
        places: [
          at('infra/modules/network.bicep', /Microsoft\.App\/environments/),
          at('infra/modules/private-endpoints.bicep'),
        ],
        note: '`VNET_ENABLED`',
      }),
      open(48, 'Network policies between pods', {
        state: 'another way',
        note: 'there are no pods; the roles of the identity limit what the app can reach',
        places: [at('infra/modules/access.bicep')],
      }),
      proven(49, 'WAF and DDoS protection', {
        places: [
          at('infra/modules/front-door-routes.bicep', /FrontDoorWebApplicationFirewallPolicies/),
          at('infra/modules/app.bicep', /AzureFrontDoor\.Backend/),
        ],
        note: 'an option: `FRONT_DOOR=true`',
        live: isBehindFrontDoor,
      }),
    ],
  },
  {
    title: 'Data',
    boxes: [
      proven(50, 'Detection of personal data', {
        places: [
          at('agent.toml', /\[security\.pii_detection\]/),
          at('shared/guardrails/personal-data.ts', /detectPii/),
          at('shared/agent/guarded-agent.ts', /createGuardedAgent/),
        ],
        note: 'off for messages until `agent.toml` turns it on; always on for logs',
      }),
      proven(51, 'Input validated', {
        places: [
          at('shared/protocols/validation.ts'),
          at('shared/protocols/chat-api.ts', /strictObject|object\(/),
          at('shared/guardrails/input-validation.ts', /createInputCheck/),
        ],
        live: validatesInput,
      }),
      proven(52, 'Detection of prompt injection', {
        places: [
          at('agent.toml', /\[security\.prompt_injection\]/),
          at('shared/guardrails/prompt-injection.ts', /detectInjection/),
          at('shared/agent/guarded-agent.ts', /createGuardedAgent/),
        ],
        note: 'off until `agent.toml` turns it on',
      }),
      proven(53, 'History encrypted', {
        places: [
          at('shared/storage/text-encryption.ts', /aes-256-gcm/),
          at('docs/secrets.md', /history-encryption-key/),
        ],
        note: 'with the secret `history-encryption-key`; the platform encrypts the storage as well',
      }),
      proven(54, 'Retention', {
        places: [at('infra/modules/storage.bicep', /daysAfterModificationGreaterThan/)],
        note: '`RESULT_RETENTION_DAYS`, `LOG_RETENTION_DAYS`',
      }),
    ],
  },
  {
    title: 'Compliance',
    boxes: [
      proven(55, 'Residency', {
        places: [at('infra/main.bicep', /param modelSku/), at('docs/security.md')],
        note: '`AZURE_LOCATION`, `AZURE_OPENAI_SKU`',
      }),
      proven(56, 'Audit log', {
        places: [
          at('shared/telemetry/audit.ts', /createAuditTrail/),
          at('infra/modules/monitor.bicep', /name: 'AppEvents'/),
          at('infra/modules/storage.bicep', /diagnosticSettings/),
          at('infra/modules/vault.bicep', /logAnalyticsDestinationType: 'Dedicated'/),
        ],
      }),
      open(57, 'Certifications', {
        state: 'yours',
        note: 'Azure publishes its own in its trust centre; yours are your task',
      }),
      open(58, 'Privacy policy', {
        state: 'yours',
        note: '`docs/security.md` lists the retention of all data',
      }),
    ],
  },
  {
    title: 'Redundancy',
    boxes: [
      proven(59, 'Several replicas', {
        places: [at('infra/modules/app.bicep', /alwaysReady:/)],
        note: 'the platform starts them; `ALWAYS_READY` of 2 keeps two running',
      }),
      proven(60, 'Over zones', {
        places: [
          at('infra/modules/app.bicep', /zoneRedundant: zoneRedundant/),
          at('infra/modules/storage.bicep', /ZRS/),
        ],
        note: '`ZONE_REDUNDANT`, off by default because it costs two running instances',
      }),
      open(61, 'Anti-affinity', {
        state: 'another way',
        note: 'the platform places instances, and spreads them over zones if zones are on',
      }),
      open(62, 'Only healthy instances get traffic', {
        state: 'another way',
        note: 'the platform replaces a host that does not answer',
        places: [at('infra/modules/probe.bicep', /healthUrl/)],
        live: isHealthy,
      }),
    ],
  },
];
