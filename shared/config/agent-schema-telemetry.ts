import * as z from 'zod';
import { choice, flag, optionalNumber, ratio } from './schema-fields.ts';

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
  price_per_million_output_tokens: optionalNumber({
    min: 0,
    max: 1_000_000,
    purpose: 'Price of output tokens, in the same currency.',
  }),
});
