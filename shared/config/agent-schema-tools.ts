import * as z from 'zod';
import { readMcpUrl } from './model-fallbacks.ts';
import {
  choice,
  flag,
  HOST,
  integer,
  list,
  optionalInteger,
  optionalPattern,
  optionalJsonObject,
  pattern,
  SECTION_NAME,
  text,
} from './schema-fields.ts';

/** The agent's own tools; composition-root/agent.ts creates each by its name. */
const OWN_TOOLS = ['current_time', 'calculator', 'http_fetch', 'search_conversation'] as const;

/** Names of tools are longer in the protocol; what a model reads has 64 characters at most. */
const MCP_TOOL = /^[\w.\-/]{1,64}$/;
const MAX_MCP_TOOLS = 64;

/** A server whose tools the agent may call over the Model Context Protocol. */
const mcpServer = z.strictObject({
  url: pattern({
    schema: z.string().transform((value, context) => {
      const url = readMcpUrl(value);
      if (url === undefined) context.addIssue('must be a URL of a server');
      return url ?? z.NEVER;
    }),
    expected: 'an https URL, or an http URL of this machine, without credentials or fragment',
    purpose: 'The endpoint of the server (Streamable HTTP).',
  }),
  tools: list({
    item: z.string().regex(MCP_TOOL),
    expected: 'the name of a tool, as the server has it',
    maxItems: MAX_MCP_TOOLS,
    purpose: 'The tools that the agent may call; all others of the server are left out.',
  }),
  repeatable_tools: list({
    item: z.string().regex(MCP_TOOL),
    expected: 'the name of a tool, as the server has it',
    maxItems: MAX_MCP_TOOLS,
    purpose:
      'Those of the tools that change nothing outside, so that a call may be repeated (effect `none`). All others have the effect `once`.',
  }),
  auth_secret: optionalPattern({
    schema: z.string().regex(/^[a-z][a-z0-9-]{0,126}$/),
    expected: 'the name of a secret: lower-case letters, digits and hyphens',
    purpose:
      'The secret that the server requires, by its name in Key Vault. Its variable is the name in upper case with underscores.',
  }),
  auth_header: optionalPattern({
    schema: z.string().regex(/^[a-z][a-z0-9-]{0,63}$/),
    expected: 'the name of a header in lower case',
    purpose:
      'The header that carries the secret as it is. Without it the header is `authorization`, with `Bearer` before the secret.',
  }),
  connect_timeout_ms: integer({
    default: 5_000,
    min: 10,
    max: 60_000,
    unit: 'milliseconds',
    purpose:
      'Time limit for connecting and listing the tools. The first request of an instance waits for it at most.',
  }),
  timeout_ms: optionalInteger({
    min: 10,
    max: 220_000,
    unit: 'milliseconds',
    purpose: 'Time limit of one tool call, in place of tools.timeout_ms.',
  }),
  max_output_chars: optionalInteger({
    min: 100,
    max: 1_000_000,
    unit: 'characters',
    purpose: 'Maximum length of a tool result, in place of tools.max_output_chars.',
  }),
});

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
  mcp: z
    .record(z.string().regex(SECTION_NAME), mcpServer)
    .describe(
      'MCP servers by name. The model reads the tool `search` of `docs` as `docs__search`.',
    ),
});

/** The agent as an MCP server at `/mcp`. */
export const mcpServerEndpoint = z.strictObject({
  tool_description: text({
    default: 'Asks the agent a question and returns its answer.',
    maxChars: 1_024,
    purpose: 'What the models of other agents read about the tool `ask`.',
  }),
  allowed_origins: list({
    item: z.string().regex(/^https:\/\/[a-z0-9.-]{1,253}(?::\d{1,5})?$/),
    expected: 'an https origin in lower case, such as https://app.example.com',
    maxItems: 100,
    purpose:
      'Origins of web pages that may call `/mcp`, besides those of the same machine. Other clients send no origin.',
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
