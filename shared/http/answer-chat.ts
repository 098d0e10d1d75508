import type { Agent } from '../agent/agent.ts';
import { parseChatRequest, type ChatRequest } from '../agent/chat-request.ts';
import { openTurn } from './deadline.ts';
import type { Exchange, PipelineNeeds } from './exchange.ts';
import { jsonResponse, type PlainResponse } from './respond.ts';
import { streamChat } from './stream-chat.ts';

export interface ChatNeeds extends PipelineNeeds {
  readonly agent: Agent;
  readonly chatLimits: {
    readonly answerDeadlineMs: number;
    readonly streamDeadlineMs: number;
    readonly heartbeatMs: number;
  };
}

/** POST /api/chat: one message, answered as JSON or as a stream of events. */
export async function answerChat(exchange: Exchange, needs: ChatNeeds): Promise<PlainResponse> {
  const request = parseChatRequest(await exchange.readJson());
  if (wantsStream(exchange, request)) return streamChat(exchange, { request, needs });
  const turn = openTurn(exchange, needs.chatLimits.answerDeadlineMs);
  try {
    const reply = await turn.within(needs.agent.answer(request, turn.context));
    return jsonResponse({ ...reply, requestId: exchange.requestId });
  } finally {
    turn.close();
  }
}

function wantsStream(exchange: Exchange, request: ChatRequest): boolean {
  if (request.stream !== undefined) return request.stream;
  return (exchange.header('accept') ?? '').toLowerCase().includes('text/event-stream');
}
