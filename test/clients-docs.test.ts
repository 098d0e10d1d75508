import { globSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';

/**
 * The tests of each client; after `#`, the title of its group in a file with several. The title of a
 * test begins with the features that it shows.
 */
const TESTS: Readonly<Record<string, string>> = {
  openai: 'test/e2e/clients/openai.ts',
  '@openai/agents': 'test/e2e/clients/openai-agents.ts',
  '@openai/agents (Responses)': 'test/e2e/clients/responses.ts#@openai/agents',
  ai: 'test/e2e/clients/ai-sdk.ts',
  'ai (Responses)': 'test/e2e/clients/responses.ts#ai with',
  'ai (useChat)': 'test/e2e/clients/ai-sdk-ui.ts',
  '@microsoft/ai-chat-protocol': 'test/e2e/clients/ai-chat-protocol.ts',
  '@langchain/openai': 'test/e2e/clients/langchain.ts',
  'openai (AzureOpenAI)': 'test/e2e/clients/azure-openai.ts',
  '@ai-sdk/azure': 'test/e2e/clients/azure-openai.ts',
  '@langchain/openai (AzureChatOpenAI)': 'test/e2e/clients/azure-openai.ts',
  'Microsoft.Extensions.AI': 'test/e2e/clients/dotnet.ts',
  'Microsoft.SemanticKernel.Core': 'test/e2e/clients/dotnet.ts',
  'Microsoft.Agents.AI': 'test/e2e/clients/dotnet.ts',
  'Azure.AI.OpenAI': 'test/e2e/clients/dotnet.ts',
};

/** Files of test/e2e/clients that are no client. */
const OTHERS = ['client-environment.ts', 'examples.ts', 'typed-errors.ts'];
/** What a call of this function in the group of a client tests. */
const SHARED_TESTS = { testTypedErrors: ['errors', 'broken stream'] } as const;

interface Row {
  readonly client: string;
  readonly version: string;
  readonly features: readonly string[];
  /** The letters of the reasons in the other cells. */
  readonly reasons: readonly string[];
}

/** The first table of docs/clients.md. */
function readTable(): { readonly columns: readonly string[]; readonly rows: readonly Row[] } {
  const [table = ''] = /(?:^\|.*\n)+/m.exec(readFileSync('docs/clients.md', 'utf8')) ?? [];
  const [head = [], , ...body] = table
    .trim()
    .split('\n')
    .map((line) =>
      line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    );
  const columns = head.slice(2);
  const rows = body.map(([client = '', version = '', ...cells]) => ({
    client: client.replaceAll('`', ''),
    version,
    features: columns.filter((_, index) => cells[index] === 'yes'),
    reasons: cells.filter((cell) => cell !== 'yes'),
  }));
  return { columns, rows };
}

function testedFeatures(tests: string, columns: readonly string[]): string[] {
  const [path = '', group = ''] = tests.split('#');
  const [, ...groups] = readFileSync(path, 'utf8').split(/^  describe(?:\.each\(.*\))?\('/m);
  const tested = groups.filter((text) => text.startsWith(group)).join('');
  const titles = [...tested.matchAll(/^\s+(?:.*\()?'([a-z ,]+): /gm)];
  const shared = Object.entries(SHARED_TESTS).filter(([name]) => tested.includes(`${name}({`));
  const named = new Set([
    ...titles.flatMap(([, names = '']) => names.split(', ')),
    ...shared.flatMap(([, features]) => features),
  ]);
  return columns.filter((column) => named.has(column));
}

const packageSchema = z.object({
  dependencies: z.record(z.string(), z.string()),
  devDependencies: z.record(z.string(), z.string()),
});

function pinnedVersions(): Map<string, string> {
  const manifest = packageSchema.parse(JSON.parse(readFileSync('package.json', 'utf8')));
  const project = readFileSync('examples/dotnet/AgentClients.csproj', 'utf8');
  const references = [...project.matchAll(/Include="([^"]+)" Version="([^"]+)"/g)];
  return new Map([
    ...Object.entries({ ...manifest.dependencies, ...manifest.devDependencies }),
    ...references.map(([, name = '', version = '']) => [name, version] as const),
  ]);
}

describe('docs/clients.md', () => {
  it('has a row for each client, with the version that the tests use', () => {
    const { rows } = readTable();

    const versions = pinnedVersions();
    const files = Object.values(TESTS).map((tests) => tests.split('#')[0] ?? '');

    expect(rows.map(({ client }) => client)).toEqual(Object.keys(TESTS));
    expect(rows.map(({ version }) => version)).toEqual(
      rows.map(({ client }) => versions.get(client.split(' ')[0] ?? '')),
    );
    expect(globSync('test/e2e/clients/*.ts').toSorted()).toEqual(
      [...new Set([...files, ...OTHERS.map((name) => `test/e2e/clients/${name}`)])].toSorted(),
    );
  });

  it('claims the features that have a test, and no others', () => {
    const { columns, rows } = readTable();

    const tested = rows.map(({ client }) => testedFeatures(TESTS[client] ?? '', columns));
    for (const [index, { client }] of rows.entries()) {
      process.stdout.write(`${client}: ${tested[index]?.join(', ')}\n`);
    }

    expect(rows.map(({ features }) => features)).toEqual(tested);
  });

  it('gives a reason for each feature that it does not claim', () => {
    const { rows } = readTable();
    const text = readFileSync('docs/clients.md', 'utf8');

    const reasons = [...new Set(rows.flatMap((row) => row.reasons))].toSorted();

    expect(reasons.filter((letter) => !text.includes(`\n- \`${letter}\`: `))).toEqual([]);
    expect(reasons).toEqual(['a', 'b', 'c', 'd']);
  });
});
