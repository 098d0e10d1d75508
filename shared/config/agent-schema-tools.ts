import * as z from 'zod';
import { integer, list } from './schema-fields.ts';

/** The agent's own tools; composition-root/tools.ts creates each by its name. */
const OWN_TOOLS = ['current_time', 'calculator'] as const;

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
});
