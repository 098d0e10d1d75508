import { createCallerKeyRing } from '../callers/caller-key-ring.ts';
import { identifyCaller, type Caller, type CallerEvidence } from '../callers/caller.ts';
import type { Settings } from '../config/read-config.ts';
import type { Secrets } from '../secrets/secrets.ts';
import { VARIABLES } from '../config/variables.ts';

export interface WiredCallers {
  readonly identify: (evidence: CallerEvidence) => Caller;
  /** @throws ServiceError while the list of keys cannot be read: then nobody gets in. */
  requireConfigured(): void;
}

/** Who may call, by the settings and the secret of the moment. */
export function wireCallers(settings: Settings, secrets: Secrets): WiredCallers {
  const { vaultName } = VARIABLES.callerKeys;
  const { trustEntraPrincipal: trustPrincipal, proxiesInFront } = settings.callers;
  const keys = createCallerKeyRing({
    read: () => secrets.get(vaultName),
    isAbsent: () =>
      settings.azureKeyVaultUrl === undefined || secrets.whyMissing(vaultName) === 'absent',
    whyMissing: () => secrets.whyMissing(vaultName),
  });
  return {
    identify: (evidence) =>
      identifyCaller(evidence, { trustPrincipal, proxiesInFront, keys: keys() }),
    requireConfigured: () => void keys(),
  };
}
