import { expect, type TestContext } from 'vitest';
import { startEnvironment, type TestEnvironment } from '../../e2e/support/start-environment.ts';
import {
  startVaultEnvironment,
  type VaultEnvironment,
} from '../../e2e/support/vault-environment.ts';
import {
  refuse,
  say,
  startScriptedUpstream,
  type ScriptedUpstream,
} from '../../support/scripted-upstream.ts';

export const OLD_KEY = 'canary-old-key';
export const NEW_KEY = 'canary-new-key';

export interface VaultScene {
  readonly app: TestEnvironment;
  readonly vault: VaultEnvironment['vault'];
  readonly upstream: ScriptedUpstream;
  /** From now on the upstream takes only this key. */
  readonly accept: (key: string) => void;
}

interface SceneOptions {
  /** Connection string of the storage; tests that put nothing on a queue share one. */
  readonly storage: string;
  readonly prepare: (vault: VaultEnvironment['vault']) => void;
  readonly settings?: Record<string, string>;
}

/** The built app with a vault of its own and an upstream that is strict about keys. */
export async function startVaultScene(
  { onTestFinished }: TestContext,
  { storage, prepare, settings = {} }: SceneOptions,
): Promise<VaultScene> {
  let accepted = OLD_KEY;
  const upstream = await startScriptedUpstream((turn) => {
    const isKnown = turn.request.headers.authorization === `Bearer ${accepted}`;
    return (isKnown ? say('Hello') : refuse(401))(turn);
  });
  onTestFinished(async () => upstream[Symbol.asyncDispose]());
  const vaultEnvironment = await startVaultEnvironment();
  onTestFinished(() => vaultEnvironment.stop());
  prepare(vaultEnvironment.vault);
  const app = await startEnvironment({
    settings: {
      AzureWebJobsStorage: storage,
      ...vaultEnvironment.settings,
      OPENAI_BASE_URL: upstream.baseUrl,
      ...settings,
    },
  });
  onTestFinished(() => app.stop());
  return { app, vault: vaultEnvironment.vault, upstream, accept: (key) => void (accepted = key) };
}

/** Reads of the model's key from the vault. */
export function keyReads({ vault }: VaultScene): number {
  return vault.reads().filter((name) => name === 'openai-api-key').length;
}

/** Neither the texts nor the log nor the health pages hold a part of a secret. */
export async function expectNoCanary(
  { app }: VaultScene,
  texts: readonly string[] = [],
): Promise<void> {
  const pages = await Promise.all(
    ['/health', '/ready', '/health/ready'].map(async (path) =>
      (await fetch(`${app.url}${path}`)).text(),
    ),
  );
  for (const text of [...texts, ...pages, ...app.log]) expect(text).not.toMatch(/canary/);
}
