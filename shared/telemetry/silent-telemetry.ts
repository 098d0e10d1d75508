import { passThroughTracer, silentMeter } from './create-telemetry.ts';
import type { Telemetry } from './telemetry.ts';

/** Says nothing: for parts whose every call would be noise, such as liveness probes. */
export const silentTelemetry: Telemetry = {
  ...silentMeter,
  ...passThroughTracer,
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  with: () => silentTelemetry,
};
