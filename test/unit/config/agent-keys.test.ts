import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { agentJsonSchema } from '../../../shared/config/agent-keys.ts';
import { readConfig } from '../../../shared/config/read-config.ts';

const ENVIRONMENT = { OPENAI_API_KEY: 'key' };

function readRoot(name: string): string {
  return readFileSync(new URL(`../../../${name}`, import.meta.url), 'utf8');
}

describe('agent.schema.json', () => {
  it('is what the schema in the code says; `node dev/write-agent-schema.ts` writes it', () => {
    expect(readRoot('agent.schema.json')).toBe(agentJsonSchema());
  });

  it('knows every section and refuses every other key', () => {
    const schema = z.looseObject({
      additionalProperties: z.boolean(),
      properties: z.record(z.string(), z.looseObject({ additionalProperties: z.boolean() })),
    });

    const { properties, additionalProperties, ...others } = schema.parse(
      JSON.parse(agentJsonSchema()),
    );

    expect(others).not.toHaveProperty('required');
    expect(additionalProperties).toBe(false);
    expect(Object.keys(properties)).toContain('limits');
    expect(Object.values(properties).every((section) => !section.additionalProperties)).toBe(true);
  });
});

describe('agent.toml', () => {
  it('names its schema on the first line and is accepted', () => {
    const text = readRoot('agent.toml');

    const { settings, sources } = readConfig(ENVIRONMENT, { agentToml: text });

    expect(text.split('\n')[0]).toBe('#:schema ./agent.schema.json');
    expect(sources.get('agent.instructions')).toBe('agent.toml');
    expect(settings).toEqual(readConfig(ENVIRONMENT).settings);
  });
});
