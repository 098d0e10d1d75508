import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { HostLogLine } from '../../../../dev/host/host-log.ts';
import { startHost } from '../../../../dev/host/start-host.ts';
import type { HostOptions, RunningHost } from '../../../../dev/host/start-host.ts';
import { waitUntil } from './wait-until.ts';

export interface FixtureHost extends RunningHost {
  readonly lines: readonly HostLogLine[];
  /** Waits for a line that holds the text. */
  logged(text: string): Promise<HostLogLine>;
  get(path: string, init?: RequestInit): Promise<Response>;
}

/** A test that leaves a call behind need not wait for it. */
const SHORT_GRACE = { httpDrainMs: 300, jobHostDrainMs: 300 };

const FIXTURES = join(import.meta.dirname, '..', 'fixtures');

/** The folder of a fixture app. */
export function fixtureRoot(app: string): string {
  return join(FIXTURES, app);
}

/** Runs a fixture app until the end of the test. */
export async function startFixture(
  app: string,
  options: Partial<HostOptions> = {},
): Promise<FixtureHost> {
  const host = await runFixture(app, options);
  onTestFinished(() => host.stop());
  return host;
}

/** Runs a fixture app; the caller stops it. */
export async function runFixture(
  app: string,
  options: Partial<HostOptions> = {},
): Promise<FixtureHost> {
  const lines: HostLogLine[] = [];
  const host = await startHost({
    appRoot: fixtureRoot(app),
    port: 0,
    log: (line) => void lines.push(line),
    ...options,
    timings: { ...SHORT_GRACE, ...options.timings },
    environment: { ...options.environment },
  });
  return {
    ...host,
    lines,
    logged: (text) => waitUntil(() => lines.find(({ message }) => message.includes(text)), text),
    get: (path, init) => fetch(host.url + path, init),
  };
}

/** Settings that change host.json. */
export function hostJson(values: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).map(([path, value]) => [
      `AzureFunctionsJobHost__${path.replaceAll('.', '__')}`,
      value,
    ]),
  );
}
