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
