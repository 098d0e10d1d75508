import { toServiceError } from '../errors.ts';
import { ATTRIBUTES, SPANS } from '../telemetry/spans.ts';
import type { Agent, RunResult, RunContext } from './agent.ts';

/** Wraps an agent with one span for each run; the spans of its model calls are children. */
export function createTracedAgent(agent: Agent, { name }: { readonly name: string }): Agent {
  return {
    async run(input, context) {
      const span = startAgentSpan(name, context);
      try {
        const result = await agent.run(input, span.context);
        span.succeed(result);
        return result;
      } catch (thrown) {
        span.fail(thrown);
        throw thrown;
      }
    },
    async *stream(input, context) {
      const span = startAgentSpan(name, context);
      try {
        for await (const event of agent.stream(input, span.context)) {
          if (event.type === 'done') span.succeed(event.result);
          yield event;
        }
      } catch (thrown) {
        span.fail(thrown);
        throw thrown;
      } finally {
        span.abandon();
      }
    },
  };
}

interface AgentSpan {
  readonly context: RunContext;
  succeed(result: RunResult): void;
  fail(thrown: unknown): void;
  abandon(): void;
}

function startAgentSpan(name: string, context: RunContext): AgentSpan {
  const { telemetry, signal, traceparent } = context;
  const span = telemetry.startSpan(SPANS.invokeAgent(name), {
    kind: 'internal',
    parent: traceparent,
    attributes: { [ATTRIBUTES.operation]: 'invoke_agent', [ATTRIBUTES.agentName]: name },
  });
  function end(code?: string): void {
    signal.removeEventListener('abort', abandon);
    span.end(code);
  }
  function abandon(): void {
    end('aborted');
  }
  if (span.isRecording !== false) signal.addEventListener('abort', abandon, { once: true });
  return {
    context: { ...context, traceparent: span.traceparent ?? traceparent },
    succeed({ model, usage, finishReason }) {
      span.set({
        [ATTRIBUTES.responseModel]: model,
        [ATTRIBUTES.finishReasons]: [finishReason],
        [ATTRIBUTES.inputTokens]: usage.inputTokens,
        [ATTRIBUTES.outputTokens]: usage.outputTokens,
        ...(usage.cachedInputTokens === undefined
          ? {}
          : { [ATTRIBUTES.cachedInputTokens]: usage.cachedInputTokens }),
      });
      end();
    },
    fail: (thrown) => end(signal.aborted ? 'aborted' : toServiceError(thrown).code),
    abandon,
  };
}
