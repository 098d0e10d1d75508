import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const ARM = process.env.AZURE_ARM_URL ?? 'https://management.azure.com';
const ARM_SCOPE = 'https://management.azure.com/.default';

/** An answer of Azure's management API that is not a success. */
export class ArmFailure extends Error {
  constructor(path, status) {
    super(`Azure answered ${status} to ${path.split('?')[0]}`);
    this.status = status;
  }
}

/** A token of whoever is logged in to azd; no other login is looked for. */
export async function azdToken() {
  const { stdout } = await promisify(execFile)(
    'azd',
    ['auth', 'token', '--scope', ARM_SCOPE, '--output', 'json'],
    { timeout: 60_000 },
  );
  return JSON.parse(stdout).token;
}

/** Asks the management API as the person or pipeline that runs azd. */
export async function askArm(path, { method = 'GET', token }) {
  const response = await fetch(`${ARM}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(30_000),
  });
  if (!response.ok) throw new ArmFailure(path, response.status);
  return response.json();
}
