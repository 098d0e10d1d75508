import * as z from 'zod';
import { choice, flag, integer, optionalInteger, optionalText } from './schema-fields.ts';

/** Limits of requests and callers. */
export const limits = z.strictObject({
  max_request_bytes: integer({
    default: 262_144,
    min: 1_024,
    max: 4_194_304,
    unit: 'bytes',
    purpose: 'Maximum size of the request body of a chat.',
  }),
  max_messages: optionalInteger({
    min: 1,
    max: 100_000,
    unit: 'messages',
    purpose:
      'Maximum length of a conversation; unset means 256, or one for each 500 tokens of model.context_tokens if that is more.',
  }),
  max_input_chars: optionalInteger({
    min: 1,
    max: 100_000_000,
    unit: 'characters',
    purpose:
      'Maximum size of the texts and tools of a conversation; unset means 100,000, or four for each token of model.context_tokens. limits.max_request_bytes bounds it too.',
  }),
  body_deadline_ms: integer({
    default: 30_000,
    min: 100,
    max: 220_000,
    unit: 'milliseconds',
    purpose: 'Time limit for reading the JSON body of a request.',
  }),
  upload_deadline_ms: integer({
    default: 180_000,
    min: 100,
    max: 220_000,
    unit: 'milliseconds',
    purpose: 'Time limit for the upload of a file; must be below functionTimeout.',
  }),
  body_stall_ms: integer({
    default: 20_000,
    min: 100,
    max: 220_000,
    unit: 'milliseconds',
    purpose: 'How far a body may fall behind the minimum rate, and its longest pause.',
  }),
  min_body_bytes_per_second: integer({
    default: 8_192,
    min: 1,
    max: 1_073_741_824,
    unit: 'bytes per second',
    purpose: 'Minimum rate at which a body must arrive.',
  }),
  answer_deadline_ms: integer({
    default: 60_000,
    min: 100,
    max: 220_000,
    unit: 'milliseconds',
    purpose: 'Time limit for an answer without streaming, retries included.',
  }),
  stream_deadline_ms: integer({
    default: 210_000,
    min: 100,
    max: 220_000,
    unit: 'milliseconds',
    purpose: 'Time limit for a streamed answer; the front end of the platform cuts at 230 s.',
  }),
  heartbeat_ms: integer({
    default: 15_000,
    min: 50,
    max: 60_000,
    unit: 'milliseconds',
    purpose: 'Maximum time on a stream without data before a comment is sent.',
  }),
  requests_per_minute: integer({
    default: 60,
    min: 0,
    max: 1_000_000,
    unit: 'requests',
    purpose: 'Requests of one caller in a minute; 0 disables the limit.',
  }),
  tokens_per_minute: integer({
    default: 100_000,
    min: 0,
    max: 1_000_000_000,
    unit: 'tokens',
    purpose: 'Input and output tokens of one caller in a minute; 0 disables the limit.',
  }),
  tokens_per_day: integer({
    default: 0,
    min: 0,
    max: 1_000_000_000_000,
    unit: 'tokens',
    purpose: 'Budget of one caller for one UTC day; 0 means no budget.',
  }),
  max_open_calls_per_caller: integer({
    default: 8,
    min: 0,
    max: 10_000,
    unit: 'calls',
    purpose: 'Open calls of one caller in an instance; further ones wait. 0 disables the limit.',
  }),
  max_open_calls: integer({
    default: 256,
    min: 1,
    max: 10_000,
    unit: 'calls',
    purpose: 'Open calls of all callers in an instance; further ones wait.',
  }),
  max_queued_calls: integer({
    default: 512,
    min: 0,
    max: 100_000,
    unit: 'calls',
    purpose: 'Calls that may wait; one caller may use a quarter of them.',
  }),
  queue_timeout_ms: integer({
    default: 10_000,
    min: 10,
    max: 60_000,
    unit: 'milliseconds',
    purpose: 'Time limit of the wait; then the call is refused.',
  }),
  slow_reader_timeout_ms: integer({
    default: 30_000,
    min: 100,
    max: 220_000,
    unit: 'milliseconds',
    purpose: 'Time after which a client that takes no data of its response is disconnected.',
  }),
  mode: choice({
    choices: ['enforce', 'observe'],
    default: 'enforce',
    purpose: 'Refuse requests over a limit, or allow and log them.',
  }),
});

/** Identification of callers. */
export const callers = z.strictObject({
  trust_entra_principal: flag({
    default: false,
    purpose:
      'Trust the header x-ms-client-principal. Only behind Easy Auth, which removes the header from client requests.',
  }),
  entra_app_role: optionalText({
    maxChars: 120,
    purpose:
      'App role that a trusted Entra principal must have; any other gets 403. Every principal may call if unset.',
  }),
  proxies_in_front: integer({
    default: 0,
    min: 0,
    max: 10,
    unit: 'proxies',
    purpose: 'Own gateways between the platform and the client that append to x-forwarded-for.',
  }),
  ipv6_prefix_bits: integer({
    default: 56,
    min: 32,
    max: 128,
    unit: 'bits',
    purpose: 'IPv6 addresses with this prefix in common are one caller.',
  }),
});
