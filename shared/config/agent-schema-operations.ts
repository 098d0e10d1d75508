import * as z from 'zod';
import { choice, flag, integer, optionalNumber, optionalText, ratio } from './schema-fields.ts';

/** The Redis that instances share, if configured. */
export const redis = z.strictObject({
  timeout_ms: integer({
    default: 150,
    min: 10,
    max: 10_000,
    unit: 'milliseconds',
    purpose:
      'Time limit of a Redis command; after it the instance uses its local limits and cache.',
  }),
});

export const batch = z.strictObject({
  concurrency: integer({
    default: 8,
    min: 1,
    max: 256,
    unit: 'items',
    purpose: 'Concurrent items of one job on an instance.',
  }),
  deadline_ms: integer({
    default: 200_000,
    min: 100,
    max: 1_740_000,
    unit: 'milliseconds',
    purpose:
      'Time after which a job starts no more items and reschedules itself; must leave the time of one answer below functionTimeout.',
  }),
  max_open_batches: integer({
    default: 20,
    min: 0,
    max: 10_000,
    unit: 'batches',
    purpose: 'Open batches of one caller; further ones are refused with 429. 0 disables the limit.',
  }),
  max_queued_items: integer({
    default: 200_000,
    min: 0,
    max: 100_000_000,
    unit: 'items',
    purpose:
      'Items in the open batches of one caller; a batch that exceeds it is refused with 429. 0 disables the limit.',
  }),
  max_stored_bytes: integer({
    default: 10_000_000_000,
    min: 0,
    max: 1_000_000_000_000,
    unit: 'bytes',
    purpose:
      'Size of all files of one caller, uploads and results; further uploads are refused with 429. 0 disables the limit.',
  }),
  queue_owner: optionalText({
    maxChars: 256,
    purpose:
      'Caller that owns queue jobs without an `owner`, as key:NAME, entra:TENANT/OBJECT or address:ADDRESS. Without it no caller has access to them over HTTP.',
  }),
});

/** Stored conversations of the chat routes. */
export const sessions = z.strictObject({
  enabled: flag({
    default: true,
    purpose:
      'Keep each chat of POST /api/chat as a session, which a later request continues by its sessionId.',
  }),
  retention_days: integer({
    default: 30,
    min: 1,
    max: 3_650,
    unit: 'days',
    purpose:
      'Days after its last change until a session or conversation is deleted. The deployment sets it together with the rule of the storage account.',
  }),
  max_history_tokens: integer({
    default: 16_000,
    min: 0,
    max: 10_000_000,
    unit: 'tokens',
    purpose:
      'Earlier messages of a session that the model reads, estimated; the oldest tool results are left out first, then the oldest messages.',
  }),
  summarize: flag({
    default: false,
    purpose:
      'Replace what does not fit into max_history_tokens by a summary that the model writes. It is stored with the session; its tokens count like those of the chat.',
  }),
});

/** [runs] of agent.toml: runs in the background. */
export const runs = z.strictObject({
  max_minutes: integer({
    default: 30,
    min: 1,
    max: 1_440,
    unit: 'minutes',
    purpose: 'Maximum time of a background run, from its first step on.',
  }),
  retention_hours: integer({
    default: 24,
    min: 1,
    max: 720,
    unit: 'hours',
    purpose: 'Time for which a background run and its answer are kept.',
  }),
  slice_ms: integer({
    default: 60_000,
    min: 100,
    max: 1_740_000,
    unit: 'milliseconds',
    purpose:
      'Time after which a delivery of a background run starts no more steps and reschedules the run; must leave limits.stream_deadline_ms below functionTimeout.',
  }),
});

/** The refresh of secrets from Key Vault, if configured. */
export const secrets = z.strictObject({
  load_timeout_ms: integer({
    default: 5_000,
    min: 50,
    max: 30_000,
    unit: 'milliseconds',
    purpose: 'Time limit for reading all secrets once.',
  }),
  refresh_ms: integer({
    default: 300_000,
    min: 1_000,
    max: 86_400_000,
    unit: 'milliseconds',
    purpose: 'Time between two background reads.',
  }),
});

/** [telemetry] of agent.toml. */
export const telemetry = z.strictObject({
  log_level: choice({
    choices: ['debug', 'info', 'warn', 'error'],
    default: 'info',
    purpose:
      'Minimum level of log lines. `debug` adds one line for each model attempt and cache decision.',
  }),
  console: choice({
    choices: ['auto', 'always'],
    default: 'auto',
    purpose:
      'Whether log lines are also printed while they are exported to Application Insights; the platform collects printed lines a second time.',
  }),
  sampling_ratio: ratio({
    default: 1,
    purpose:
      'Ratio of traces that are exported to Application Insights; logs and metrics are always exported.',
  }),
  live_metrics: flag({
    default: false,
    purpose: 'Stream live metrics to the portal while Application Insights is configured.',
  }),
  price_per_million_input_tokens: optionalNumber({
    min: 0,
    max: 1_000_000,
    purpose: 'Price of input tokens for the cost metric, which is absent without a price.',
  }),
  price_per_million_cached_input_tokens: optionalNumber({
    min: 0,
    max: 1_000_000,
    purpose:
      'Price of input tokens that the endpoint read from its prompt cache; the price of input tokens if unset.',
  }),
  price_per_million_output_tokens: optionalNumber({
    min: 0,
    max: 1_000_000,
    purpose: 'Price of output tokens, in the same currency.',
  }),
});

/** [page] of agent.toml. */
export const page = z.strictObject({
  enabled: flag({
    default: true,
    purpose: 'Serve the page for people at `GET /`. The deployment switches it off by default.',
  }),
});
