import { parseArgs } from 'node:util';
import { ConfigError } from '../../shared/config/config-error.ts';
import { readConfig } from '../../shared/config/read-config.ts';
import { CliError } from '../cli-error.ts';

const DEFAULT_PORT = 7071;

/** If one of these is set, a model is configured, so the development model is not started. */
const MODEL_SETTINGS = [
  'OPENAI_BASE_URL',
  'OPENAI_API_KEY',
  'AZURE_OPENAI_ENDPOINT',
  'AZURE_OPENAI_DEPLOYMENT',
  'AZURE_KEY_VAULT_URL',
] as const;

/** The model name for which the development model replies without a scripted fault. */
const PLAIN_MODEL = 'development-model';

/** Variables that `npm` adds; the app does not use them, and they are large. */
const NPM_NOISE = /^npm_/i;

export interface StartPlan {
  readonly port: number;
  readonly enableAuth: boolean;
  /** The folder in which the storage emulator stores its contents; in memory without it. */
  readonly storageFolder: string | undefined;
  /** `own`: start an emulator. `emulator`: use the one on the well-known ports if it answers. */
  readonly storage: 'own' | 'emulator' | 'given';
  readonly model: 'development' | 'given';
  /** The environment of the app, as far as it is known before anything runs. */
  readonly settings: Readonly<Record<string, string>>;
}

export interface StartInputs {
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The Values of local.settings.json; the shell's environment takes precedence. */
  readonly localSettings: Readonly<Record<string, string>>;
  /** The text of agent.toml, which the app reads from its own folder. */
  readonly agentToml?: string;
}

/**
 * Decides from flags and settings alone what to start, so that mistakes show before anything
 * starts.
 */
export function planStart(inputs: StartInputs): StartPlan {
  const flags = readFlags(inputs.argv);
  const settings = mergeSettings(inputs);
  const plan: StartPlan = {
    port: readPort(flags.port ?? settings['PORT'], flags.port === undefined ? 'PORT' : '--port'),
    enableAuth: flags['enable-auth'] ?? false,
    storageFolder: flags.storage,
    storage: chooseStorage(settings, flags.storage),
    model: usesDevelopmentModel(settings) ? 'development' : 'given',
    settings,
  };
  requireGoodSettings(withModel(plan, 'http://127.0.0.1/v1'), inputs.agentToml ?? '');
  return plan;
}

/** True if no model is configured, so that the local environment starts the development model. */
export function usesDevelopmentModel(
  settings: Readonly<Record<string, string | undefined>>,
): boolean {
  return !MODEL_SETTINGS.some((name) => isSet(settings[name]));
}

/** The settings of the app, with the URL of the development model if it is used. */
export function withModel(plan: StartPlan, url: string | undefined): Record<string, string> {
  if (plan.model === 'given' || url === undefined) return { ...plan.settings };
  const wanted = plan.settings['OPENAI_MODEL'];
  return {
    ...plan.settings,
    OPENAI_BASE_URL: url,
    OPENAI_API_KEY: 'development',
    // A model name from the user stays: it selects a scripted fault.
    OPENAI_MODEL: isSet(wanted) ? wanted : PLAIN_MODEL,
  };
}

/** The app would report the same, but only at the first request. */
function requireGoodSettings(settings: Readonly<Record<string, string>>, agentToml: string): void {
  try {
    readConfig(settings, { agentToml });
  } catch (error) {
    if (error instanceof ConfigError) throw new CliError(error.message, { cause: error });
    throw error;
  }
}

function readFlags(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        'enable-auth': { type: 'boolean' },
        port: { type: 'string' },
        storage: { type: 'string' },
      },
    }).values;
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('. ')[0] : String(error);
    throw new CliError(
      `Cannot start: ${reason}; known are --port N, --enable-auth and --storage FOLDER`,
      { cause: error },
    );
  }
}

function mergeSettings(inputs: StartInputs): Record<string, string> {
  const merged = { ...inputs.localSettings };
  for (const [name, value] of Object.entries(inputs.environment)) {
    if (value !== undefined && !NPM_NOISE.test(name)) merged[name] = value;
  }
  return merged;
}

function readPort(value: string | undefined, name: string): number {
  if (!isSet(value)) return DEFAULT_PORT;
  const port = Number(value);
  if (!/^\d+$/.test(value) || port > 65_535) {
    throw new CliError(
      `Cannot start as '${name}' must be a whole number from 0 to 65535: current value is ${value}`,
    );
  }
  return port;
}

function chooseStorage(
  settings: Readonly<Record<string, string>>,
  folder: string | undefined,
): StartPlan['storage'] {
  const connection = settings['AzureWebJobsStorage'];
  const isShortcut = connection?.trim().replace(/;$/, '') === 'UseDevelopmentStorage=true';
  const hasIdentity = Object.keys(settings).some((name) =>
    name.startsWith('AzureWebJobsStorage__'),
  );
  if (folder !== undefined) {
    if ((isSet(connection) && !isShortcut) || hasIdentity) {
      throw new CliError(
        "Cannot start as '--storage' must not be combined with 'AzureWebJobsStorage': both are given",
      );
    }
    return 'own';
  }
  if (isShortcut) return 'emulator';
  return isSet(connection) || hasIdentity ? 'given' : 'own';
}

/** An empty value marks a setting in the example file that is not filled in yet. */
function isSet(value: string | undefined): value is string {
  return value !== undefined && value.trim() !== '';
}
