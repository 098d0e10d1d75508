import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { setting } from './terminal.js';

const ARM = process.env.AZURE_ARM_URL ?? 'https://management.azure.com';
const ARM_SCOPE = 'https://management.azure.com/.default';

/** An error response of Azure's management API. */
export class ArmError extends Error {
  constructor(path, status) {
    super(`Azure answered ${status} to ${path.split('?')[0]}`);
    this.status = status;
  }
}

/** An access token from the login of azd; other logins are not used. */
export async function azdToken(scope = ARM_SCOPE) {
  const { stdout } = await promisify(execFile)(
    'azd',
    ['auth', 'token', '--scope', scope, '--output', 'json'],
    { timeout: 60_000 },
  );
  return JSON.parse(stdout).token;
}

/**
 * The values of the azd environment that AZURE_ENV_NAME names, or else the default one. As JSON,
 * because a shell that reads them as text would run what stands between backticks.
 */
export async function azdValues() {
  const name = setting('AZURE_ENV_NAME');
  const environment = name === undefined ? [] : ['--environment', name];
  const { stdout } = await promisify(execFile)(
    'azd',
    ['env', 'get-values', '--output', 'json', ...environment],
    { timeout: 60_000 },
  );
  return JSON.parse(stdout);
}

/** Reads the values of azd where nothing else has set this one. */
export async function completeSettings(name) {
  if (setting(name) === undefined) Object.assign(process.env, await azdValues());
}

/** Calls the management API as the person or pipeline that runs azd. */
export async function callArm(path, { method = 'GET', token, body }) {
  const response = await fetch(`${ARM}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(30_000),
  });
  if (!response.ok) throw new ArmError(path, response.status);
  return response.json();
}
