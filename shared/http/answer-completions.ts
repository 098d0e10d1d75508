import { parseCompletionsRequest } from '../protocols/openai-chat-completions.ts';
import { toChunk, toCompletion, toUsageChunk } from '../protocols/completions-reply.ts';
import type { ChatNeeds } from './chat-needs.ts';
import { openTurn } from './run-scope.ts';
import type { MeteredExchange } from './request-context.ts';
import { jsonResponse, type PlainResponse } from './responses.ts';
import { DONE } from './sse.ts';
import { streamChat, type StreamDialect } from './chat-handler.ts';

export interface CompletionsNeeds extends ChatNeeds {
  /** What the agent is called where a client wants the name of a model. */
  readonly publicModel: string;
}

/** POST /v1/chat/completions: the agent for clients of OpenAI's API. */
export async function answerCompletions(
  exchange: MeteredExchange,
  needs: CompletionsNeeds,
): Promise<PlainResponse> {
  const { question, stream, includeUsage } = parseCompletionsRequest(await exchange.readJson());
  const frame = { requestId: exchange.requestId, created: Math.floor(Date.now() / 1_000) };
  if (stream) {
    const dialect = chunkDialect(frame, { includeUsage, model: needs.publicModel });
    return streamChat(exchange, { request: question, needs, dialect });
  }
  const deadlineMs = needs.chatLimits.answerDeadlineMs;
  const turn = await openTurn(exchange, { question, deadlineMs, measure: needs.measure });
  try {
    const reply = await turn.within(needs.agent.answer(question, turn.context));
    turn.finish(reply);
    return jsonResponse(toCompletion(reply, frame));
  } finally {
    turn.close();
  }
}

/** Chunks without event names, and an end mark. An error is the end too: the client throws it. */
function chunkDialect(
  frame: { readonly requestId: string; readonly created: number },
  { includeUsage, model }: { readonly includeUsage: boolean; readonly model: string },
): StreamDialect {
  return {
    begin: () => [{ data: toChunk({ role: 'assistant', content: '' }, { frame, model }) }],
    delta: (content) => [{ data: toChunk({ content }, { frame, model }) }],
    end(reply) {
      const last = toChunk({}, { frame, model, finishReason: reply.finishReason });
      const usage = includeUsage ? [{ data: toUsageChunk({ ...reply, model }, frame) }] : [];
      return [{ data: last }, ...usage, { data: DONE }];
    },
    fail: ({ error }) => ({ data: { error } }),
  };
}
