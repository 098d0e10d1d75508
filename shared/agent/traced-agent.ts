import { toServiceError } from '../errors.ts';
import { ATTRIBUTES, SPANS } from '../telemetry/spans.ts';
import type { Agent, RunResult, RunContext } from './agent.ts';

/** The same agent, each turn of which is a span that the calls of its model belong to. */
export function createTracedAgent(agent: Agent, { name }: { readonly name: string }): Agent {
  return {
    async answer(request, context) {
      const turn = startAgentSpan(name, context);
      try {
        const reply = await agent.answer(request, turn.context);
        turn.succeed(reply);
        return reply;
      } catch (thrown) {
        turn.fail(thrown);
        throw thrown;
      }
    },
    async *stream(request, context) {
      const turn = startAgentSpan(name, context);
      try {
        for await (const event of agent.stream(request, turn.context)) {
          if (event.type === 'done') turn.succeed(event.reply);
          yield event;
        }
      } catch (thrown) {
        turn.fail(thrown);
        throw thrown;
      } finally {
        turn.leave();
      }
    },
  };
}

interface AgentSpan {
  readonly context: RunContext;
  succeed(reply: RunResult): void;
  fail(thrown: unknown): void;
  leave(): void;
}

function startAgentSpan(name: string, context: RunContext): AgentSpan {
  const { telemetry, signal, traceparent } = context;
  const span = telemetry.startSpan(SPANS.invokeAgent(name), {
    kind: 'internal',
    parent: traceparent,
    attributes: { [ATTRIBUTES.operation]: 'invoke_agent', [ATTRIBUTES.agentName]: name },
  });
  function end(code?: string): void {
    signal.removeEventListener('abort', leave);
    span.end(code);
  }
  function leave(): void {
    end('aborted');
  }
  signal.addEventListener('abort', leave, { once: true });
  return {
    context: { ...context, traceparent: span.traceparent ?? traceparent },
    succeed({ model, usage, finishReason }) {
      span.set({
        [ATTRIBUTES.responseModel]: model,
        [ATTRIBUTES.finishReasons]: [finishReason],
        [ATTRIBUTES.inputTokens]: usage.inputTokens,
        [ATTRIBUTES.outputTokens]: usage.outputTokens,
      });
      end();
    },
    fail: (thrown) => end(signal.aborted ? 'aborted' : toServiceError(thrown).code),
    leave,
  };
}
