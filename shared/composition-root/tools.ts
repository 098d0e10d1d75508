import type { RunLimits } from '../agent/run-state.ts';
import type { Tool } from '../agent/tool.ts';
import type { Clock } from '../clock.ts';
import type { Settings } from '../config/read-config.ts';

type ToolName = Settings['tools']['enabled'][number];

/** Each own tool by its name in `tools.enabled`. The module of a tool is loaded only if it is used. */
const TOOLS: Readonly<Record<ToolName, (clock: Clock) => Promise<Tool>>> = {
  async current_time(clock) {
    const { createCurrentTime } = await import('../agent/tools/current-time.ts');
    return createCurrentTime(clock);
  },
  async calculator() {
    const { calculator } = await import('../agent/tools/calculator.ts');
    return calculator;
  },
};

/** The agent's own tools that the settings enable. */
export async function createOwnTools(settings: Settings, clock: Clock): Promise<readonly Tool[]> {
  const names = [...new Set(settings.tools.enabled)];
  return Promise.all(names.map((name) => TOOLS[name](clock)));
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
