import { listAgentKeys, toCamelName } from '../../shared/config/agent-keys.ts';
import type { Config } from '../../shared/config/read-config.ts';
import { type SettingSource, type Variable, VARIABLES } from '../../shared/config/variables.ts';
import { formatTable } from '../table.ts';

/** A prompt is long; its beginning identifies it. */
const MAX_VALUE_CHARS = 60;

type Row = readonly [key: string, value: string, source: string];

/** Every setting with its value and source, in aligned columns. Secrets are not shown. */
export function describeConfig(config: Config): string[] {
  const columns = ['key', 'value', 'source'].map((heading) => ({ heading }));
  return formatTable(columns, [...variableRows(config), ...agentRows(config)]).split('\n');
}

/**
 * What a request to the routes for callers must carry, and how the app identifies who sent it, which
 * separates limits, cache, files and batches. `keysUnreadable` is the reason why the vault does not
 * provide the caller keys, if it may have some.
 */
export function describeIdentity(
  { settings }: Config,
  { keysUnreadable }: { readonly keysUnreadable?: string | undefined } = {},
): string[] {
  const isAnonymous = settings.routeAuthLevel === 'anonymous';
  const unreadable = `caller key, which Key Vault does not give (${keysUnreadable}): such requests get 503`;
  const byKey = keysUnreadable === undefined ? undefined : unreadable;
  const other = settings.callerKeys === undefined ? byKey : 'caller key';
  const { trustEntraPrincipal, entraAppRole } = settings.callers;
  const role = entraAppRole === undefined ? '' : `, with the app role ${entraAppRole} or 403`;
  const platform = `platform principal (x-ms-client-principal, written by Easy Auth)${role}`;
  const withoutOther = isAnonymous
    ? `${platform}; any other request gets 401`
    : `${platform}; without one by client address`;
  const missing = 'neither Easy Auth nor caller keys are set';
  const alone = isAnonymous
    ? `nothing, so every request gets 401: ${missing}`
    : `client address: ${missing}`;
  const ofPrincipal = other === undefined ? withoutOther : `${platform}; without one by ${other}`;
  const key = isAnonymous ? 'needs no key' : 'needs a key';
  return [
    `A request ${key} of the Functions host (${VARIABLES.routeAuthLevel.name})`,
    `Callers are identified by ${trustEntraPrincipal ? ofPrincipal : (other ?? alone)}`,
  ];
}

function variableRows({ settings, sources }: Config): Row[] {
  const values: Readonly<Record<string, unknown>> = settings;
  return Object.entries<Variable>(VARIABLES).map(([name, variable]) => {
    const source = sources.get(variable.name) ?? 'unset';
    // Values from a vault are not printed, whether they are keys or addresses.
    const isSecret = variable.secret === true || source === 'Key Vault';
    const value = describeValue(values[name], source);
    return [variable.name, isSecret && value !== 'unset' ? 'set' : value, source];
  });
}

function agentRows({ settings, sources }: Config): Row[] {
  const namesAt = (path: readonly string[]): string[] =>
    Object.keys(valueAt(settings, path.map(toCamelName)) ?? {});
  return listAgentKeys(namesAt).map(({ path }) => {
    const key = path.join('.');
    const source = sources.get(key) ?? 'default';
    return [key, describeValue(valueAt(settings, path.map(toCamelName)), source), source];
  });
}

function valueAt(tree: unknown, path: readonly string[]): unknown {
  let current = tree;
  for (const name of path) {
    if (typeof current !== 'object' || current === null) return undefined;
    current = new Map<string, unknown>(Object.entries(current)).get(name);
  }
  return current;
}

function describeValue(value: unknown, source: SettingSource): string {
  if (value === undefined) return source === 'default' || source === 'unset' ? 'unset' : 'unusable';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const line = text.replaceAll(/[\s\p{C}]+/gu, ' ');
  return line.length > MAX_VALUE_CHARS ? `${line.slice(0, MAX_VALUE_CHARS - 3)}...` : line;
}
