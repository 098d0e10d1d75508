import { ATTRIBUTES, SPANS } from './spans.ts';
import type { Telemetry } from './telemetry.ts';

export interface ToolRun {
  readonly name: string;
  /** The trace context of the turn that the tool is called in. */
  readonly parent: string | undefined;
  readonly telemetry: Telemetry;
}

/** Runs one tool as a span and measures it. The trace context is for calls that the tool makes. */
export async function traceTool<Result>(
  { name, parent, telemetry }: ToolRun,
  run: (traceparent: string | undefined) => Promise<Result>,
): Promise<Result> {
  const startedAt = performance.now();
  const span = telemetry.startSpan(SPANS.executeTool(name), {
    kind: 'internal',
    parent,
    attributes: { [ATTRIBUTES.operation]: 'execute_tool', [ATTRIBUTES.toolName]: name },
  });
  let code: string | undefined = 'failed';
  try {
    const result = await run(span.traceparent);
    code = undefined;
    return result;
  } finally {
    span.end(code);
    const seconds = (performance.now() - startedAt) / 1_000;
    telemetry.record('toolDuration', seconds, { 'gen_ai.tool.name': name, 'error.type': code });
  }
}
