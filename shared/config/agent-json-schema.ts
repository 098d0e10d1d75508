import * as z from 'zod';
import { agentSchema } from './agent-schema.ts';

/** What editors know of agent.toml: the text of agent.schema.json at the root. */
export function agentJsonSchema(): string {
  const schema = z.toJSONSchema(agentSchema, {
    target: 'draft-7',
    io: 'input',
    override({ jsonSchema }) {
      // A section that is left out has the defaults of its keys.
      delete jsonSchema.required;
    },
  });
  return `${JSON.stringify({ ...schema, title: 'agent.toml' }, undefined, 2)}\n`;
}
