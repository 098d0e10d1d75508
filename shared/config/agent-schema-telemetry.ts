import * as z from 'zod';
import { choice, optionalNumber, ratio } from './schema-fields.ts';

/** [telemetry] of agent.toml: what is told, and to whom. */
export const telemetry = z.strictObject({
  log_level: choice({
    choices: ['debug', 'info', 'warn', 'error'],
    default: 'info',
    purpose: 'Lowest level that is logged.',
  }),
  console: choice({
    choices: ['auto', 'always'],
    default: 'auto',
    purpose:
      'Whether log lines are printed although Application Insights gets them; the platform collects what is printed a second time.',
  }),
  sampling_ratio: ratio({
    default: 1,
    purpose:
      'Share of traces that is sent to Application Insights; logs and metrics are always sent.',
  }),
  price_per_million_input_tokens: optionalNumber({
    min: 0,
    max: 1_000_000,
    purpose: 'Price of the model, for the metric of cost; there is none without it.',
  }),
  price_per_million_output_tokens: optionalNumber({
    min: 0,
    max: 1_000_000,
    purpose: 'Price of what the model writes, in the same currency.',
  }),
});
