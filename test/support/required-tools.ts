import type { TestOptions } from 'vitest';
import { findProgram } from '../../dev/find-program.ts';

interface Tool {
  /** File names of the program, the preferred one first. */
  readonly programs: readonly string[];
  /** How a developer installs it, as printed at the end of `npm test`. */
  readonly install: string;
  /** The only platform that has it, such as `linux-x64`. */
  readonly platform?: string;
}

export type ToolName = 'redis-server' | 'dotnet' | 'the Bicep compiler' | 'chromium';

/** Programs that some tests start and that npm cannot install. */
const TOOLS: Readonly<Record<ToolName, Tool>> = {
  'redis-server': { programs: ['redis-server'], install: 'apt-get install redis-server' },
  dotnet: { programs: ['dotnet'], install: 'the .NET SDK from https://dot.net' },
  // The compiler is fetched by `dotnet`.
  'the Bicep compiler': {
    programs: ['dotnet'],
    platform: 'linux-x64',
    install: 'Linux on x64 and the .NET SDK from https://dot.net',
  },
  chromium: {
    programs: ['chromium', 'chromium-browser', 'google-chrome'],
    install: 'apt-get install chromium',
  },
};

declare module 'vitest' {
  interface TaskMeta {
    /** The missing program that a test was skipped for; `npm test` reads it from the report. */
    missingTool?: { readonly name: string; readonly install: string };
  }
}

/**
 * Options of a `describe` or `it` whose tests start this program. Without the program the tests are
 * skipped, and `npm test` names it at its end; where `CI` is set they must run, so this throws.
 */
export function requireTool(
  name: ToolName,
  environment: NodeJS.ProcessEnv = process.env,
): TestOptions {
  const { install, platform } = TOOLS[name];
  const isPlatform = platform === undefined || platform === `${process.platform}-${process.arch}`;
  if (isPlatform && findTool(name, environment) !== undefined) return {};
  if (isSet(environment['CI'])) {
    throw new Error(`Cannot run these tests as ${name} must be installed: ${install}`);
  }
  return { skip: true, meta: { missingTool: { name, install } } };
}

/** The path of the installed program, if there is one. */
export function findTool(
  name: ToolName,
  environment: NodeJS.ProcessEnv = process.env,
): string | undefined {
  return findProgram(TOOLS[name].programs, environment);
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && !['', '0', 'false'].includes(value);
}
