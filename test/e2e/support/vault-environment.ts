import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { startLoopbackVault, type LoopbackVault } from '../../support/loopback-vault.ts';
import { createSelfSignedCertificate } from '../../support/self-signed-certificate.ts';

const VAULT_HOST = 'dev.vault.azure.net';
const PRELOAD = fileURLToPath(
  new URL('../../support/resolve-vaults-to-loopback.ts', import.meta.url),
);

/** A vault over https, and the settings with which an app finds and trusts it. */
export interface VaultEnvironment {
  readonly vault: LoopbackVault;
  readonly settings: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

export async function startVaultEnvironment(): Promise<VaultEnvironment> {
  const tls = createSelfSignedCertificate(VAULT_HOST);
  const folder = await mkdtemp(join(tmpdir(), 'loopback-vault-'));
  const authority = join(folder, 'authority.pem');
  await writeFile(authority, tls.cert);
  const vault = await startLoopbackVault({ tls });
  return {
    vault,
    settings: {
      AZURE_KEY_VAULT_URL: `https://${VAULT_HOST}:${vault.port}`,
      AZURE_TOKEN_CREDENTIALS: 'ManagedIdentityCredential',
      ...vault.identity,
      NODE_EXTRA_CA_CERTS: authority,
      languageWorkers__node__arguments: `--import ${pathToFileURL(PRELOAD).href}`,
      OPENAI_API_KEY: '',
    },
    async stop() {
      await vault.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
