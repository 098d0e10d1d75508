import * as z from 'zod';
import { integer, optionalInteger, optionalNumber, ratio, text } from './schema-fields.ts';
import { callers, limits } from './agent-schema-limits.ts';
import { security } from './agent-schema-security.ts';
import {
  batch,
  page,
  redis,
  runs,
  secrets,
  sessions,
  telemetry,
} from './agent-schema-operations.ts';
import { mcpServerEndpoint, output, tools } from './agent-schema-tools.ts';

/** Name and instructions of the agent. */
const agent = z.strictObject({
  name: text({
    default: 'agent',
    maxChars: 64,
    purpose: 'Name of the agent in logs and traces, and the name of its model for callers.',
  }),
  instructions: text({
    default:
      'You are a helpful assistant. Answer clearly and briefly. When you do not know, say so.',
    maxChars: 65_536,
    purpose: 'The system prompt.',
  }),
  max_steps: integer({
    default: 8,
    min: 1,
    max: 64,
    unit: 'steps',
    purpose:
      'Maximum model calls of one run, retries not counted. The last step offers no own tools, so that the model answers.',
  }),
  max_tool_calls: integer({
    default: 32,
    min: 0,
    max: 1_000,
    unit: 'calls',
    purpose: 'Maximum calls of own tools in one run.',
  }),
  max_run_tokens: integer({
    default: 200_000,
    min: 1,
    max: 100_000_000,
    unit: 'tokens',
    purpose: 'Input and output of all steps of one run, after which no further step starts.',
  }),
});

/** Model parameters, time limits, retries and circuit breaker. */
const model = z.strictObject({
  capacity_tokens_per_minute: optionalInteger({
    min: 1_000,
    max: 1_000_000_000,
    unit: 'tokens',
    purpose:
      'Tokens per minute that the endpoint admits, input and output. A request that can never fit is refused, and limits.tokens_per_minute is at most this. The deployment sets it; unset means unknown.',
  }),
  context_tokens: optionalInteger({
    min: 1_000,
    max: 100_000_000,
    unit: 'tokens',
    purpose:
      'Context window of the model, input and output together. The bounds of a conversation follow it, and no answer is longer.',
  }),
  max_output_tokens: optionalInteger({
    min: 1,
    max: 1_000_000,
    unit: 'tokens',
    purpose: 'Maximum length of an answer; a request may set a lower bound, not a higher one.',
  }),
  default_output_tokens: integer({
    default: 4_096,
    min: 1,
    max: 1_000_000,
    unit: 'tokens',
    purpose:
      'Maximum length of an answer for requests without a bound. It is sent to the model and reserved in the limits; reasoning counts as output.',
  }),
  temperature: optionalNumber({
    min: 0,
    max: 2,
    purpose: 'Sent only if set, because reasoning models reject it.',
  }),
  max_attempts: integer({
    default: 3,
    min: 1,
    max: 10,
    unit: 'calls',
    purpose: 'Maximum model calls for one request, over all endpoints.',
  }),
  attempt_timeout_ms: integer({
    default: 30_000,
    min: 10,
    max: 220_000,
    unit: 'milliseconds',
    purpose: 'Time limit of one call without streaming.',
  }),
  first_token_timeout_ms: integer({
    default: 20_000,
    min: 10,
    max: 220_000,
    unit: 'milliseconds',
    purpose: 'Time limit for the first token of a streamed answer.',
  }),
  idle_timeout_ms: integer({
    default: 10_000,
    min: 10,
    max: 220_000,
    unit: 'milliseconds',
    purpose: 'Maximum time between two tokens.',
  }),
  backoff_initial_ms: integer({
    default: 250,
    min: 1,
    max: 60_000,
    unit: 'milliseconds',
    purpose: 'Maximum delay before the first retry; doubled for each further retry.',
  }),
  backoff_max_ms: integer({
    default: 4_000,
    min: 1,
    max: 60_000,
    unit: 'milliseconds',
    purpose: 'Maximum delay before any retry.',
  }),
  retry_budget_ratio: ratio({
    default: 0.2,
    purpose: 'Retries per call, on average; 0 disables retries.',
  }),
  breaker_failures: integer({
    default: 5,
    min: 1,
    max: 1_000,
    unit: 'failures',
    purpose: 'Failures within the window that open the circuit of an endpoint.',
  }),
  breaker_window_size: integer({
    default: 12,
    min: 1,
    max: 1_000,
    unit: 'calls',
    purpose: 'Size of the window: the most recent calls that the circuit of an endpoint counts.',
  }),
  half_open_after_ms: integer({
    default: 30_000,
    min: 10,
    max: 3_600_000,
    unit: 'milliseconds',
    purpose: 'Time before an open circuit allows one probe call.',
  }),
  max_concurrent_per_endpoint: integer({
    default: 256,
    min: 1,
    max: 10_000,
    unit: 'calls',
    purpose: 'Concurrent calls to one endpoint from one instance.',
  }),
  max_queued_per_endpoint: integer({
    default: 128,
    min: 0,
    max: 10_000,
    unit: 'calls',
    purpose: 'Calls that may wait for a free slot.',
  }),
  max_body_bytes: integer({
    default: 8_388_608,
    min: 1_024,
    max: 67_108_864,
    unit: 'bytes',
    purpose: 'Maximum size of an answer, and of the text of a streamed answer.',
  }),
  max_line_bytes: integer({
    default: 1_048_576,
    min: 1_024,
    max: 16_777_216,
    unit: 'bytes',
    purpose: 'Maximum size of one event of a stream.',
  }),
});

/** The response cache. */
const cache = z.strictObject({
  ttl_seconds: integer({
    default: 300,
    min: 0,
    max: 86_400,
    unit: 'seconds',
    purpose: 'How long an answer is served again to the same caller; 0 disables the cache.',
  }),
  max_entries: integer({
    default: 1_000,
    min: 1,
    max: 1_000_000,
    unit: 'answers',
    purpose: 'Maximum number of answers in the memory of an instance.',
  }),
  max_bytes: integer({
    default: 16_777_216,
    min: 65_536,
    max: 1_073_741_824,
    unit: 'bytes',
    purpose: 'Maximum size of all answers in the memory of an instance.',
  }),
});

/**
 * The schema of agent.toml. Validation, defaults, agent.schema.json, the names of environment
 * variables and the documentation are generated from it, so a new key needs no other change.
 */
export const agentSchema = z.strictObject({
  agent,
  model,
  output,
  tools,
  security,
  mcp_server: mcpServerEndpoint,
  limits,
  cache,
  callers,
  redis,
  batch,
  sessions,
  runs,
  secrets,
  telemetry,
  page,
});
