import type { Agent, Question } from '../agent/agent.ts';
import { parseChatRequest, type ChatRequest } from '../agent/chat-request.ts';
import type { QuestionSize } from '../agent/measure-question.ts';
import type { CallerNeeds } from './pipeline.ts';
import { openTurn } from './deadline.ts';
import type { MeteredExchange } from './exchange.ts';
import { jsonResponse, type PlainResponse } from './respond.ts';
import { streamChat } from './stream-chat.ts';

export interface ChatNeeds extends CallerNeeds {
  readonly agent: Agent;
  /** How much a question asks for, before anything is asked. */
  readonly measure: (question: Question) => QuestionSize;
  readonly chatLimits: {
    readonly answerDeadlineMs: number;
    readonly streamDeadlineMs: number;
    readonly heartbeatMs: number;
  };
}

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
