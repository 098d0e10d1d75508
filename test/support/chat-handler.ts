import type { HttpHandler } from '@azure/functions';
import type { Agent, AgentInput } from '../../shared/agent/agent.ts';
import { estimateInput } from '../../shared/agent/model-request.ts';
import { createAgent } from '../../shared/agent/run-loop.ts';
import { chatHandler } from '../../shared/http/chat-handler.ts';
import type { ProtocolId } from '../../shared/protocols/registry.ts';
import { meteredHandler } from '../../shared/http/admission.ts';
import type { ChatSessions } from '../../shared/sessions/chat-sessions.ts';
import { bodyLimits, openAdmission } from './public-handler.ts';
import { createRecordedTelemetry, type RecordedTelemetry } from './recorded-telemetry.ts';
import { createScriptedModel, type AnswerStep, type ScriptedModel } from './scripted-model.ts';
import type { StreamStep } from './scripted-model.ts';

export interface ChatScript {
  readonly answers?: readonly AnswerStep[];
  readonly streams?: readonly StreamStep[];
  readonly answerDeadlineMs?: number;
  readonly streamDeadlineMs?: number;
  readonly heartbeatMs?: number;
  /** Replaces the agent on the scripted model. */
  readonly agent?: Agent;
  readonly sessions?: ChatSessions;
}

export interface ChatUnderTest {
  readonly handler: HttpHandler;
  readonly model: ScriptedModel;
  readonly telemetry: RecordedTelemetry;
}

/** The whole way of a chat, from the handler to a model that follows a script. */
export function createChat(script: ChatScript, protocol: ProtocolId = 'chat'): ChatUnderTest {
  const telemetry = createRecordedTelemetry();
  const model = createScriptedModel(script);
  const { sessions } = script;
  const { answerDeadlineMs = 10_000, streamDeadlineMs = 10_000, heartbeatMs = 10_000 } = script;
  const service = {
    ...openAdmission,
    publicModel: 'assistant',
    measure: (input: AgentInput) => estimateInput(input, { instructions: '' }),
    telemetry,
    requestBody: bodyLimits(262_144),
    agent: script.agent ?? createAgent({ model, instructions: 'Be brief' }),
    slowReaderTimeoutMs: 30_000,
    sessions: sessions && (async () => sessions),
    chatLimits: { answerDeadlineMs, streamDeadlineMs, heartbeatMs },
  };
  return { telemetry, model, handler: meteredHandler(async () => service, chatHandler(protocol)) };
}

/** How many timers this process has set. */
export function countTimers(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
}
