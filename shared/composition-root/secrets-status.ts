import type { Secrets, WantedSecret } from '../secrets/secrets.ts';
import type { PartStatus } from '../health/readiness.ts';

/** Whether the secrets are as fresh as they should be, and which source each of them came from. */
export function secretsStatus(secrets: Secrets, wanted: readonly WantedSecret[]): PartStatus {
  const sources = Object.fromEntries(
    wanted.map(({ name, variable }) => [variable ?? name, secrets.sourceOf(name)]),
  );
  const { failing, lastError } = secrets.state();
  if (!failing) return { status: 'ready', sources };
  const reason = `Key Vault: ${lastError ?? 'failing'}; the last known values are used`;
  return { status: 'degraded', reason, sources };
}
