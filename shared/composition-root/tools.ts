import * as z from 'zod';
import type { RunLimits } from '../agent/run-state.ts';
import type { Tool } from '../agent/tool.ts';
import type { Clock } from '../clock.ts';
import { ConfigError } from '../config/config-error.ts';
import type { Settings } from '../config/read-config.ts';
import { parseJson } from '../json.ts';
import type { ResponseFormat } from '../model/model.ts';

type ToolName = Settings['tools']['enabled'][number];

interface ToolDependencies {
  readonly settings: Settings;
  readonly clock: Clock;
}

/** Each own tool by its name in `tools.enabled`. The module of a tool is loaded only if it is used. */
const TOOLS: Readonly<Record<ToolName, (parts: ToolDependencies) => Promise<Tool>>> = {
  async current_time({ clock }) {
    const { createCurrentTime } = await import('../agent/tools/current-time.ts');
    return createCurrentTime(clock);
  },
  async calculator() {
    const { calculator } = await import('../agent/tools/calculator.ts');
    return calculator;
  },
  async http_fetch({ settings }) {
    const { createHttpFetch } = await import('../agent/tools/safe-fetch.ts');
    return createHttpFetch({ allowedHosts: settings.tools.httpAllowedHosts });
  },
};

/** The agent's own tools that the settings enable. */
export async function createOwnTools(settings: Settings, clock: Clock): Promise<readonly Tool[]> {
  const names = [...new Set(settings.tools.enabled)];
  return Promise.all(names.map((name) => TOOLS[name]({ settings, clock })));
}

/**
 * The shape of answers by the settings; undefined for text.
 * @throws ConfigError if the schema cannot be used
 */
export async function createOutputFormat({
  output,
}: Settings): Promise<ResponseFormat | undefined> {
  const { format, schema, schemaName: name, strict } = output;
  if (format === 'text') return undefined;
  if (format === 'json_object') return { type: format };
  const parsed = z.record(z.string(), z.unknown()).parse(parseJson(schema ?? '{}'));
  const responseFormat = { type: format, name, schema: parsed, strict } as const;
  try {
    const { createOutputCheck } = await import('../agent/structured-output.ts');
    await createOutputCheck(responseFormat);
  } catch {
    throw new ConfigError([
      { setting: 'output.schema', expected: 'a JSON Schema without remote references' },
    ]);
  }
  return responseFormat;
}

/** The bounds of every run, by the settings. */
export function runLimitsOf({ agent, tools }: Settings): RunLimits {
  const { timeoutMs, maxOutputChars } = tools;
  return {
    maxSteps: agent.maxSteps,
    maxToolCalls: agent.maxToolCalls,
    maxTokens: agent.maxRunTokens,
    tool: { timeoutMs, maxOutputChars },
  };
}
