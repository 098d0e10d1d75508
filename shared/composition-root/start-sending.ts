import { hostname } from 'node:os';
import type { AzureMonitor } from '../telemetry/azure-monitor/start.ts';
import type { MetricsRegistry } from '../telemetry/metrics-registry.ts';
import type { Redact } from '../telemetry/redact.ts';
import type { TelemetryParts } from './telemetry.ts';

export interface SendingParts extends TelemetryParts {
  readonly metrics: MetricsRegistry;
  readonly redact: Redact;
}

/** Where the resource takes no keys, it says so in the same words as to the platform. */
const BY_IDENTITY = /(?:^|;)\s*Authorization\s*=\s*AAD\s*(?:;|$)/i;

/** The packages that send cost a cold start, so they are loaded where there is something to send to. */
export async function startSending(
  connectionString: string,
  { settings, credential, transport, metrics, redact }: SendingParts,
): Promise<AzureMonitor> {
  const byIdentity = BY_IDENTITY.test(settings.appInsightsAuthentication ?? '');
  const [{ startAzureMonitor }, identity] = await Promise.all([
    import('../telemetry/azure-monitor/start.ts'),
    byIdentity ? credential() : undefined,
  ]);
  return startAzureMonitor({
    connectionString,
    credential: identity,
    samplingRatio: settings.telemetry.samplingRatio,
    service: { name: settings.agent.name, version: settings.appVersion, instance: hostname() },
    registry: metrics,
    redact,
    transport,
  });
}
