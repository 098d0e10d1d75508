import { CliError } from '../cli-error.ts';
import type { BindingInfo, FunctionInfo } from './worker/messages.ts';

export type AuthLevel = 'anonymous' | 'function' | 'admin';

interface FunctionBase {
  readonly name: string;
  readonly triggerName: string;
  readonly isDisabled: boolean;
  /** Queues that the function writes to, by binding name. */
  readonly outputs: ReadonlyMap<string, QueueBinding>;
  readonly info: FunctionInfo;
}

export interface HttpFunction extends FunctionBase {
  readonly kind: 'http';
  /** Without the prefix and without slashes around it. */
  readonly route: string;
  /** Upper case; empty: every method. */
  readonly methods: readonly string[];
  readonly authLevel: AuthLevel;
}

export interface QueueFunction extends FunctionBase {
  readonly kind: 'queue';
  readonly source: QueueBinding;
}

/** A function whose trigger this host does not imitate. */
export interface OtherFunction extends FunctionBase {
  readonly kind: 'other';
  readonly triggerType: string;
}

export type AppFunction = HttpFunction | QueueFunction | OtherFunction;

export interface QueueBinding {
  readonly queueName: string;
  readonly connection: string;
}

const DEFAULT_CONNECTION = 'AzureWebJobsStorage';

/** Reads what the worker registered as the platform reads it, settings in percent signs filled in. */
export function readAppFunctions(
  infos: readonly FunctionInfo[],
  environment: Readonly<Record<string, string>>,
): AppFunction[] {
  return infos.map((info) => readFunction(info, environment));
}

/** The bindings that this host does not imitate, for a warning. */
export function unsupportedBindings({ info }: AppFunction): string[] {
  return Object.values(info.bindings)
    .filter(({ type, direction }) => {
      const name = type.toLowerCase();
      if (name.endsWith('trigger')) return name !== 'httptrigger' && name !== 'queuetrigger';
      return direction === 'in' || (name !== 'http' && name !== 'queue');
    })
    .map(({ type }) => type);
}

function readFunction(
  info: FunctionInfo,
  environment: Readonly<Record<string, string>>,
): AppFunction {
  const bindings = Object.entries(info.bindings);
  const [triggerName, trigger] =
    bindings.find(([, { type }]) => type.toLowerCase().endsWith('trigger')) ?? [];
  if (triggerName === undefined || trigger === undefined) {
    throw new CliError(`Cannot start as function '${info.name}' must have a trigger: it has none`);
  }
  const outputs = bindings
    .filter(([, { type, direction }]) => direction === 'out' && type.toLowerCase() === 'queue')
    .map(([name, binding]) => [name, readQueue(binding, environment)] as const);
  const base = {
    name: info.name,
    triggerName,
    isDisabled: isDisabled(info.name, environment),
    outputs: new Map(outputs),
    info,
  };
  const type = trigger.type.toLowerCase();
  if (type === 'httptrigger') return { ...base, kind: 'http', ...readHttp(info.name, trigger) };
  if (type === 'queuetrigger') {
    return { ...base, kind: 'queue', source: readQueue(trigger, environment) };
  }
  return { ...base, kind: 'other', triggerType: trigger.type };
}

function readHttp(name: string, trigger: BindingInfo) {
  const route = textOf(trigger['route'])
    .trim()
    .replace(/^\/+|\/+$/g, '');
  const methods = Array.isArray(trigger['methods']) ? trigger['methods'] : [];
  return {
    route: route === '' ? name : route,
    methods: methods.map((method) => String(method).toUpperCase()),
    authLevel: readAuthLevel(name, textOf(trigger['authLevel'])),
  };
}

function readAuthLevel(name: string, text: string): AuthLevel {
  const level = text.toLowerCase();
  // Without a level, the platform (not the library) requires a key.
  if (level === '') return 'function';
  if (level === 'anonymous' || level === 'function' || level === 'admin') return level;
  throw new CliError(
    `Cannot start as the authLevel of function '${name}' must be anonymous, function or admin: current value is '${text}'`,
  );
}

function readQueue(
  binding: BindingInfo,
  environment: Readonly<Record<string, string>>,
): QueueBinding {
  const connection = resolve(textOf(binding['connection']), environment);
  return {
    // The platform writes queue names in lower case whatever the app wrote.
    queueName: resolve(textOf(binding['queueName']), environment).toLowerCase(),
    connection: connection === '' ? DEFAULT_CONNECTION : connection,
  };
}

function resolve(text: string, environment: Readonly<Record<string, string>>): string {
  return text.replace(/%([^%]+)%/g, (whole, name: string) => {
    const value = environment[name];
    if (value !== undefined) return value;
    throw new CliError(
      `Cannot start as the setting '${name}' must be there for '${whole}' of a binding: it is not`,
    );
  });
}

/** The platform reads the names of settings without regard to letter case. */
function isDisabled(name: string, environment: Readonly<Record<string, string>>): boolean {
  const setting = `azurewebjobs.${name.toLowerCase()}.disabled`;
  const [, value = ''] =
    Object.entries(environment).find(([key]) => key.toLowerCase() === setting) ?? [];
  return value === '1' || value.toLowerCase() === 'true';
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
