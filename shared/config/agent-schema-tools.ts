import * as z from 'zod';
import { choice, flag, HOST, integer, list, optionalJsonObject, text } from './schema-fields.ts';

/** The agent's own tools; composition-root/tools.ts creates each by its name. */
const OWN_TOOLS = ['current_time', 'calculator', 'http_fetch'] as const;

/** Tools that the agent runs itself. */
export const tools = z.strictObject({
  enabled: list({
    item: z.enum(OWN_TOOLS),
    expected: `one of ${OWN_TOOLS.join(', ')}`,
    maxItems: OWN_TOOLS.length,
    purpose: 'The tools that the agent may call.',
  }),
  timeout_ms: integer({
    default: 10_000,
    min: 10,
    max: 220_000,
    unit: 'milliseconds',
    purpose: 'Time limit of one tool call.',
  }),
  max_output_chars: integer({
    default: 20_000,
    min: 100,
    max: 1_000_000,
    unit: 'characters',
    purpose: 'Maximum length of a tool result; the rest is cut, and the model reads that it is.',
  }),
  http_allowed_hosts: list({
    item: z.string().max(253).regex(HOST),
    expected: 'a DNS name in lower case, or *.example.com for all names below example.com',
    maxItems: 100,
    purpose: 'The hosts that http_fetch may read from, over HTTPS only.',
  }),
});

/** The shape of answers to requests that name none. */
export const output = z.strictObject({
  format: choice({
    choices: ['text', 'json_object', 'json_schema'],
    default: 'text',
    purpose: 'The shape of every answer for which the request names none.',
  }),
  schema: optionalJsonObject({
    maxChars: 65_536,
    purpose: 'The JSON Schema of the answer, as JSON text. Required by the format json_schema.',
  }),
  schema_name: text({
    default: 'answer',
    maxChars: 64,
    purpose: 'Name of the schema for the model: letters, digits, underscores and hyphens.',
  }),
  strict: flag({
    default: false,
    purpose:
      'Whether the model endpoint enforces the schema while it generates. It then accepts a part of JSON Schema only.',
  }),
});
