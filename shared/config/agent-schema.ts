import * as z from 'zod';
import {
  choice,
  flag,
  integer,
  optionalInteger,
  optionalNumber,
  ratio,
  text,
} from './schema-fields.ts';
import { telemetry } from './agent-schema-telemetry.ts';

/** Who the agent is. */
const agent = z.strictObject({
  name: text({
    default: 'agent',
    maxChars: 64,
    purpose: 'What the agent is called in logs and traces.',
  }),
  instructions: text({
    default:
      'You are a helpful assistant. Answer clearly and briefly. When you do not know, say so.',
    maxChars: 65_536,
    purpose: 'The system prompt.',
  }),
});

/** How the model is asked, and how patient and how stubborn the calls are. */
const model = z.strictObject({
  max_output_tokens: optionalInteger({
    min: 1,
    max: 1_000_000,
    unit: 'tokens',
    purpose: 'Longest answer; a request may ask for less. Unset leaves it to the model.',
  }),
  temperature: optionalNumber({
    min: 0,
    max: 2,
    purpose: 'Sent only when set: reasoning models refuse it.',
  }),
  max_attempts: integer({
    default: 3,
    min: 1,
    max: 10,
    unit: 'calls',
    purpose: 'Calls that one request may cost over all endpoints together.',
  }),
  attempt_timeout_ms: integer({
    default: 30_000,
    min: 10,
    max: 220_000,
    unit: 'milliseconds',
    purpose: 'Time for one call whose answer is not streamed.',
  }),
  first_token_timeout_ms: integer({
    default: 20_000,
    min: 10,
    max: 220_000,
    unit: 'milliseconds',
    purpose: 'Time to the first token of a streamed answer.',
  }),
  idle_timeout_ms: integer({
    default: 10_000,
    min: 10,
    max: 220_000,
    unit: 'milliseconds',
    purpose: 'Longest silence between two tokens.',
  }),
  backoff_initial_ms: integer({
    default: 250,
    min: 1,
    max: 60_000,
    unit: 'milliseconds',
    purpose: 'Longest wait before the first retry; doubled for each further one.',
  }),
  backoff_max_ms: integer({
    default: 4_000,
    min: 1,
    max: 60_000,
    unit: 'milliseconds',
    purpose: 'Longest wait before any retry.',
  }),
  retry_budget_ratio: ratio({
    default: 0.2,
    purpose: 'Extra calls per call, over time; 0 never retries.',
  }),
  breaker_failures: integer({
    default: 5,
    min: 1,
    max: 1_000,
    unit: 'failures',
    purpose: 'Failures among the remembered calls that open the circuit of an endpoint.',
  }),
  breaker_window_size: integer({
    default: 12,
    min: 1,
    max: 1_000,
    unit: 'calls',
    purpose: 'Calls that the circuit of an endpoint remembers.',
  }),
  half_open_after_ms: integer({
    default: 30_000,
    min: 10,
    max: 3_600_000,
    unit: 'milliseconds',
    purpose: 'How long an open circuit stays open before one call tries the endpoint.',
  }),
  max_concurrent_per_endpoint: integer({
    default: 256,
    min: 1,
    max: 10_000,
    unit: 'calls',
    purpose: 'Calls to one endpoint that run at once on an instance.',
  }),
  max_queued_per_endpoint: integer({
    default: 128,
    min: 0,
    max: 10_000,
    unit: 'calls',
    purpose: 'Calls that may wait for one of those places.',
  }),
  max_body_bytes: integer({
    default: 8_388_608,
    min: 1_024,
    max: 67_108_864,
    unit: 'bytes',
    purpose: 'Largest whole answer that is read, and most text of a stream that is kept.',
  }),
  max_line_bytes: integer({
    default: 1_048_576,
    min: 1_024,
    max: 16_777_216,
    unit: 'bytes',
    purpose: 'Largest event of a stream that is read.',
  }),
});

/** What one request may cost. */
const limits = z.strictObject({
  max_request_bytes: integer({
    default: 262_144,
    min: 1_024,
    max: 4_194_304,
    unit: 'bytes',
    purpose: 'Largest request body of a chat.',
  }),
  answer_deadline_ms: integer({
    default: 60_000,
    min: 100,
    max: 220_000,
    unit: 'milliseconds',
    purpose: 'Longest time for a whole answer, retries included.',
  }),
  stream_deadline_ms: integer({
    default: 210_000,
    min: 100,
    max: 220_000,
    unit: 'milliseconds',
    purpose: 'Longest time for a streamed answer; the front end of the platform cuts at 230 s.',
  }),
  heartbeat_ms: integer({
    default: 15_000,
    min: 50,
    max: 60_000,
    unit: 'milliseconds',
    purpose: 'Longest silence on a stream before a comment is sent.',
  }),
  requests_per_minute: integer({
    default: 60,
    min: 0,
    max: 1_000_000,
    unit: 'requests',
    purpose: 'What one caller may ask in a minute; 0 turns the limit off.',
  }),
  tokens_per_minute: integer({
    default: 100_000,
    min: 0,
    max: 1_000_000_000,
    unit: 'tokens',
    purpose: 'Question and answer tokens of one caller in a minute; 0 turns the limit off.',
  }),
  tokens_per_day: integer({
    default: 0,
    min: 0,
    max: 1_000_000_000_000,
    unit: 'tokens',
    purpose: 'Budget of one caller for a day of UTC; 0 means none.',
  }),
  mode: choice({
    choices: ['enforce', 'observe'],
    default: 'enforce',
    purpose: 'Refuse what is over a limit, or let it pass and log it.',
  }),
});

/** Answers that are given out again. */
const cache = z.strictObject({
  ttl_seconds: integer({
    default: 300,
    min: 0,
    max: 86_400,
    unit: 'seconds',
    purpose: 'How long an answer is given out again to the same caller; 0 turns the cache off.',
  }),
  max_entries: integer({
    default: 1_000,
    min: 1,
    max: 1_000_000,
    unit: 'answers',
    purpose: 'Answers that an instance keeps.',
  }),
  max_bytes: integer({
    default: 16_777_216,
    min: 65_536,
    max: 1_073_741_824,
    unit: 'bytes',
    purpose: 'Size of all those answers together.',
  }),
});

/** The Redis that instances share, where one is configured. */
const redis = z.strictObject({
  timeout_ms: integer({
    default: 150,
    min: 10,
    max: 10_000,
    unit: 'milliseconds',
    purpose: 'How long a request may wait for Redis before its instance decides alone.',
  }),
});

/** How a caller is told apart from the others. */
const callers = z.strictObject({
  trust_entra_principal: flag({
    default: false,
    purpose:
      'Believe x-ms-client-principal. Only behind Easy Auth, which takes away what a client sent.',
  }),
  proxies_in_front: integer({
    default: 0,
    min: 0,
    max: 10,
    unit: 'proxies',
    purpose:
      'Gateways of your own between the platform and the client, each of which appends to x-forwarded-for.',
  }),
});

const batch = z.strictObject({
  concurrency: integer({
    default: 8,
    min: 1,
    max: 256,
    unit: 'items',
    purpose: 'Items of one job that run at once on an instance.',
  }),
  deadline_ms: integer({
    default: 200_000,
    min: 100,
    max: 1_740_000,
    unit: 'milliseconds',
    purpose:
      'Time after which a job stops taking items and hands itself over; must leave a whole answer of room below functionTimeout.',
  }),
});

/** How often the vault is asked, where one is named. */
const secrets = z.strictObject({
  load_timeout_ms: integer({
    default: 5_000,
    min: 50,
    max: 30_000,
    unit: 'milliseconds',
    purpose: 'Time for one read of all secrets together.',
  }),
  refresh_ms: integer({
    default: 300_000,
    min: 1_000,
    max: 86_400_000,
    unit: 'milliseconds',
    purpose: 'Time between two reads in the background.',
  }),
});

/**
 * agent.toml, whole. Validation, defaults, agent.schema.json, the names in the environment and the
 * documentation all come from here: a new section is a new entry, and nothing else.
 */
export const agentSchema = z.strictObject({
  agent,
  model,
  limits,
  cache,
  callers,
  redis,
  batch,
  secrets,
  telemetry,
});
