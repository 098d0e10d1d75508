import { globSync, readFileSync } from 'node:fs';

/** The options of a command, by their long names. */
interface Usage {
  readonly required?: readonly string[];
  readonly optional?: readonly string[];
}

const GROUP_AND_NAME = ['--resource-group', '--name'];
const KEY = [...GROUP_AND_NAME, '--key-type', '--key-name'];
const ENVIRONMENT: Usage = { optional: ['--environment'] };
const STORAGE = ['--account-name', '--auth-mode', '--connection-string'];

/**
 * Every command of the Azure CLI, azd and GitHub CLI that hooks, workflows and documents name, as
 * the reference of the Azure CLI (2.80), the usage texts of azd (1.31) and of gh (2.83) list it.
 */
export const USAGES: Readonly<Record<string, Usage>> = {
  'az afd profile show': { required: ['--resource-group', '--profile-name'] },
  'az bicep build': { required: ['--file'], optional: ['--stdout', '--outdir', '--outfile'] },
  'az bicep install': { optional: ['--version', '--target-platform'] },
  'az bicep lint': { required: ['--file'] },
  'az cognitiveservices account deployment list': { required: GROUP_AND_NAME },
  'az cognitiveservices usage list': { required: ['--location'] },
  'az functionapp config appsettings list': { required: GROUP_AND_NAME },
  'az functionapp keys delete': { required: KEY },
  'az functionapp keys list': { required: GROUP_AND_NAME },
  'az functionapp keys set': { required: KEY, optional: ['--key-value'] },
  'az functionapp restart': { required: GROUP_AND_NAME },
  'az functionapp show': { required: GROUP_AND_NAME },
  'az functionapp stop': { required: GROUP_AND_NAME },
  'az keyvault recover': { required: ['--name'], optional: ['--location', '--resource-group'] },
  'az keyvault secret set': {
    required: ['--vault-name', '--name'],
    optional: ['--file', '--value', '--encoding', '--expires'],
  },
  'az keyvault show': { required: ['--name'], optional: ['--resource-group'] },
  'az login': { optional: ['--tenant', '--use-device-code'] },
  'az monitor action-group list': { optional: ['--resource-group'] },
  'az monitor activity-log list': { optional: ['--resource-group', '--offset', '--max-events'] },
  'az monitor log-analytics query': { required: ['--workspace', '--analytics-query'] },
  'az monitor log-analytics workspace list': { optional: ['--resource-group'] },
  'az monitor scheduled-query list': { optional: ['--resource-group'] },
  'az provider register': { required: ['--namespace'], optional: ['--wait'] },
  'az rest': { required: ['--url'], optional: ['--method', '--body'] },
  'az storage blob upload': {
    required: ['--container-name', '--file'],
    optional: ['--name', '--overwrite', ...STORAGE],
  },
  'az storage message peek': { required: ['--queue-name'], optional: STORAGE },
  'az storage message put': { required: ['--queue-name', '--content'], optional: STORAGE },
  'azd auth login': {
    optional: ['--client-id', '--tenant-id', '--federated-credential-provider'],
  },
  'azd auth token': { optional: ['--scope', '--tenant-id'] },
  'azd deploy': { optional: ['--from-package', '--all', '--environment', '--timeout'] },
  'azd down': { optional: ['--purge', '--force', '--environment'] },
  'azd env get-value': ENVIRONMENT,
  'azd env get-values': ENVIRONMENT,
  'azd env new': { optional: ['--location', '--subscription'] },
  'azd env refresh': { optional: ['--environment', '--hint'] },
  'azd env set': ENVIRONMENT,
  'azd env set-secret': ENVIRONMENT,
  'azd hooks run': { optional: ['--environment', '--service'] },
  'azd pipeline config': { optional: ['--provider', '--environment', '--principal-name'] },
  'azd provision': { optional: ['--preview', '--environment', '--no-state'] },
  'azd up': ENVIRONMENT,
  'gh auth token': {},
  'gh run download': { optional: ['--name', '--dir', '--pattern'] },
};

const GLOBAL = ['--output', '--query', '--only-show-errors', '--subscription', '--no-prompt'];
const SHORT: Readonly<Record<string, string>> = {
  '-e': '--environment',
  '-g': '--resource-group',
  '-l': '--location',
  '-n': '--name',
  '-o': '--output',
};

export interface Command {
  readonly path: string;
  readonly text: string;
}

/** Files that a person or the pipeline runs commands from. */
const PATHS = [
  '*.md',
  'docs/**/*.md',
  'dev/doctor/azure.ts',
  'examples/**/*.md',
  'infra/hooks/**/*.{js,sh}',
  '.github/workflows/*.yml',
];
const IN_CODE = /`([^`\n]+)`/g;
const IN_BLOCK = /```(?:sh|bash|powershell)\n([\s\S]*?)```/g;
/** The arguments of a call, as hooks and the doctor pass them. */
const LIST = /\[(\s*'(?:functionapp|monitor|env|auth)',[^\]]*)\]/g;
const START = /(?<![\w./-])(?:az|azd|gh) +[a-z][a-z-]*\b/g;

/** The commands in the code of documents, in workflows and in hooks, each on one line. */
export function listCommands(): readonly Command[] {
  return globSync(PATHS)
    .filter((path) => path !== 'CHANGELOG.md')
    .flatMap((path) => commandsIn(path, readFileSync(path, 'utf8')));
}

export function commandsIn(path: string, text: string): readonly Command[] {
  return codeOf(path, text)
    .flatMap((code) => code.replaceAll(/\\\n\s*/g, ' ').split('\n'))
    .flatMap(splitCommands)
    .map((command) => ({ path, text: command }));
}

function codeOf(path: string, text: string): readonly string[] {
  if (path.endsWith('.md')) {
    const blocks = [...text.matchAll(IN_BLOCK)].map(([, code = '']) => code);
    const spans = [...text.replaceAll(/```[\s\S]*?```/g, '').matchAll(IN_CODE)];
    return [...blocks, ...spans.map(([, code = '']) => code)];
  }
  if (path.endsWith('.yml') || path.endsWith('.sh')) {
    return [text.replaceAll(/^\s*(?:#|description:).*$/gm, '')];
  }
  return [...text.matchAll(LIST)].map(([, list = '']) => {
    const words = [...list.matchAll(/'([^']+)'|\w+(?:\.\w+)*/g)].map(([, word]) => word ?? 'VALUE');
    return `${/^(?:env|auth)$/.test(words[0] ?? '') ? 'azd' : 'az'} ${words.join(' ')}`;
  });
}

/** A line may hold several commands, also one inside the argument of another. */
function splitCommands(line: string): string[] {
  const inner = /\$\(([^()]*)\)/.exec(line);
  if (inner !== null) {
    const outer = line.replace(inner[0], 'VALUE');
    return [...splitCommands(inner[1] ?? ''), ...splitCommands(outer)];
  }
  const starts = [...line.matchAll(START)].map(({ index }) => index);
  return starts.map((start, index) => line.slice(start, starts[index + 1]).trim());
}

/** What the usage of its command does not allow. Words alone are a mention, without options. */
export function commandProblems({ path, text }: Command): string[] {
  const name = Object.keys(USAGES)
    .filter((one) => text === one || text.startsWith(`${one} `))
    .toSorted((a, b) => b.length - a.length)[0];
  if (name === undefined) return [`${path}: unknown command: ${text}`];
  const own = text.slice(name.length).split(/[|;)]|&&/)[0] ?? '';
  const options = [...own.matchAll(/(?<=\s)--?[a-z][a-z-]*/g)].map(
    ([option]) => SHORT[option] ?? option,
  );
  const { required = [], optional = [] } = USAGES[name] ?? {};
  const unknown = options.filter((one) => ![...required, ...optional, ...GLOBAL].includes(one));
  const isComplete = options.length > 0 && !own.includes('…');
  const missing = isComplete ? required.filter((one) => !options.includes(one)) : [];
  return [
    ...unknown.map((option) => `${path}: ${name} has no option ${option}`),
    ...missing.map((option) => `${path}: ${name} needs ${option}`),
  ];
}
