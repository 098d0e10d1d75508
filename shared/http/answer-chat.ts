import { parseChatRequest, type ChatRequest } from '../protocols/chat-api.ts';
import type { ChatNeeds } from './chat-needs.ts';
import { openTurn } from './run-scope.ts';
import type { MeteredExchange } from './request-context.ts';
import { jsonResponse, type PlainResponse } from './responses.ts';
import { streamChat } from './chat-handler.ts';

/** POST /api/chat: one message, answered as JSON or as a stream of events. */
export async function answerChat(
  exchange: MeteredExchange,
  needs: ChatNeeds,
): Promise<PlainResponse> {
  const request = parseChatRequest(await exchange.readJson());
  if (wantsStream(exchange, request)) return streamChat(exchange, { request, needs });
  const deadlineMs = needs.chatLimits.answerDeadlineMs;
  const turn = await openTurn(exchange, { question: request, deadlineMs, measure: needs.measure });
  try {
    const reply = await turn.within(needs.agent.answer(request, turn.context));
    turn.finish(reply);
    return jsonResponse({ ...reply, requestId: exchange.requestId });
  } finally {
    turn.close();
  }
}

function wantsStream(exchange: MeteredExchange, request: ChatRequest): boolean {
  if (request.stream !== undefined) return request.stream;
  return (exchange.header('accept') ?? '').toLowerCase().includes('text/event-stream');
}
