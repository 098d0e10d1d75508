import { listAgentKeys, type AgentKey } from '../../shared/config/agent-keys.ts';
import { VARIABLES, type Variable } from '../../shared/config/variables.ts';

const WANTED_OF_KIND = {
  text: 'text',
  url: 'http(s) URL',
  fallbacks: 'JSON array of endpoints',
  'https-url': 'https URL',
  'model-url': 'http(s) URL',
  'storage-connection': 'storage connection string',
  'storage-account': 'storage account name',
  'azure-openai-url': 'http(s) URL',
  'json-object': 'JSON object',
  'auth-level': 'function or anonymous',
  'encryption-keys': 'keys of 32 bytes in base64, separated by commas',
} as const satisfies Record<Variable['kind'], string>;

/** The rows of docs/configuration.md that describe the environment, in the order of the table. */
export function variableRows(): string[] {
  return Object.values<Variable>(VARIABLES).map(({ name, kind, secret, vaultName, ...rest }) =>
    toRow([
      code(name),
      WANTED_OF_KIND[kind],
      rest.default === undefined ? 'unset' : code(rest.default),
      secret === true ? 'yes' : 'no',
      vaultName === undefined ? '' : code(vaultName),
      rest.purpose,
    ]),
  );
}

/** The rows that describe agent.toml. */
export function agentKeyRows(): string[] {
  return listAgentKeys(() => ['<name>']).map((key) =>
    toRow([
      code(key.path.join('.')),
      code(key.variable),
      key.expected,
      defaultOf(key),
      key.purpose,
    ]),
  );
}

function defaultOf({ schema }: AgentKey): string {
  const { data } = schema.safeParse(undefined);
  if (data === undefined) return 'unset';
  return code(typeof data === 'string' ? data : JSON.stringify(data));
}

function code(text: string): string {
  return `\`${text}\``;
}

function toRow(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`;
}
