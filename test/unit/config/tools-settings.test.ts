import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../../shared/config/config-error.ts';
import { readConfig } from '../../../shared/config/read-config.ts';

const ENVIRONMENT = { OPENAI_API_KEY: 'key' };

function settingsOf(agentToml: string, environment: Record<string, string> = {}) {
  return readConfig({ ...ENVIRONMENT, ...environment }, { agentToml }).settings;
}

describe('[tools] of agent.toml', () => {
  it('takes lists from the file and from the environment in both ways to write them', () => {
    const variable = 'AGENT__TOOLS__ENABLED';

    expect(settingsOf('').tools.enabled).toEqual([]);
    expect(settingsOf('[tools]\nenabled = ["calculator"]').tools.enabled).toEqual(['calculator']);
    expect(settingsOf('', { [variable]: 'calculator, current_time' }).tools.enabled).toEqual([
      'calculator',
      'current_time',
    ]);
    expect(settingsOf('', { [variable]: '["calculator"]' }).tools.enabled).toEqual(['calculator']);
  });

  it.each(['hammer', '[1]', '["calculator"', ','])('refuses the list %s by its name', (list) => {
    const reading = () => settingsOf('', { AGENT__TOOLS__ENABLED: list });

    expect(reading).toThrow(ConfigError);
    expect(reading).toThrow('AGENT__TOOLS__ENABLED');
  });
});

describe('[tools.mcp.<name>] of agent.toml', () => {
  const docs = '[tools.mcp.docs]\nurl = "https://mcp.example.com/v1?set=a"\ntools = ["a/b", "c"]\n';

  it('names a server with its tools, which variables may override or add', () => {
    const { mcp } = settingsOf(docs, {
      AGENT__TOOLS__MCP__DOCS__TOOLS: 'other',
      AGENT__TOOLS__MCP__LOCAL__URL: 'http://127.0.0.1:3001/mcp',
      AGENT__TOOLS__MCP__LOCAL__TOOLS: 'echo',
    }).tools;

    expect(settingsOf('').tools.mcp).toEqual({});
    expect(mcp).toMatchObject({
      docs: { url: 'https://mcp.example.com/v1?set=a', tools: ['other'], connectTimeoutMs: 5_000 },
      local: { url: 'http://127.0.0.1:3001/mcp', tools: ['echo'] },
    });
  });

  it.each([
    ['[tools.mcp.docs]\ntools = ["a"]', 'tools.mcp.docs.url must be an https URL'],
    ['[tools.mcp.docs]\nurl = "https://a.example"', 'tools.mcp.docs.tools must be at least one'],
    [`${docs}timeout = 1`, 'agent.toml line 4: tools.mcp.docs.timeout must be a known key; the'],
    [`${docs}repeatable_tools = ["d"]`, 'tools.mcp.docs.repeatable_tools must be a part of'],
    [docs.replace('"c"', '"a_b"'), 'tools.mcp.docs.tools must be names that stay different'],
    [docs.replaceAll('docs', 'My-Docs'), 'tools.mcp.My-Docs must be a name of 1 to 24 lower-case'],
    ['[tools]\nmcp = 1', 'tools.mcp must be a section'],
    ['[tools.mcp]\ndocs = 1', 'tools.mcp.docs must be a section'],
    ...[
      'http://mcp.example.com',
      'https://u:p@a.example',
      'ftp://a.example',
      'http://127.0.0.1.a.b',
    ].map((url) => [
      docs.replace(/"https.*"/, `"${url}"`),
      'tools.mcp.docs.url must be an https URL',
    ]),
  ])('refuses %j with the name of the key', (toml, message) => {
    expect(() => settingsOf(toml)).toThrow(message);
  });

  it('is what the documentation shows', () => {
    const page = readFileSync('docs/mcp.md', 'utf8');
    const [, example = ''] = /```toml\n([\s\S]*?)```/.exec(page) ?? [];

    const { mcp } = settingsOf(example, { DOCS_MCP_KEY: 'x' }).tools;

    expect(mcp).toMatchObject({ docs: { tools: ['search', 'fetch'], authSecret: 'docs-mcp-key' } });
  });

  it('requires the secret of a server, unless a vault may hold it', () => {
    const toml = `${docs}auth_secret = "docs-mcp-key"`;
    const vault = { AZURE_KEY_VAULT_URL: 'https://v.example.net' };

    const missing = () => settingsOf(toml);

    expect(missing).toThrow('DOCS_MCP_KEY must be set');
    expect(settingsOf(toml, { DOCS_MCP_KEY: 'x' }).tools.mcp['docs']?.authSecret).toBe(
      'docs-mcp-key',
    );
    expect(settingsOf(toml, vault).tools.mcp['docs']?.authSecret).toBe('docs-mcp-key');
  });

  it('refuses an unknown key in a variable with the nearest known one', () => {
    const reading = () => settingsOf(docs, { AGENT__TOOLS__MCP__DOCS__URLS: 'https://a.example' });

    expect(reading).toThrow('the nearest is AGENT__TOOLS__MCP__DOCS__URL');
  });
});

describe('[output] of agent.toml', () => {
  it.each([
    ['[output]\nformat = "json_schema"', 'output.schema'],
    ['[output]\nschema = "[1]"', 'output.schema'],
    ['[output]\nschema = "{"', 'output.schema'],
    ['[output]\nformat = "yaml"', 'output.format'],
  ])('refuses %j by the name of the key', (toml, name) => {
    expect(() => settingsOf(toml)).toThrow(name);
  });

  it('takes a schema as JSON text', () => {
    const settings = settingsOf('[output]\nformat = "json_schema"\nschema = \'{"type":"object"}\'');

    expect(settings.output).toMatchObject({ format: 'json_schema', schemaName: 'answer' });
  });
});
