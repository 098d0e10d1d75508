import type { ChatCompletionCreateParamsNonStreaming } from 'openai/resources/chat/completions';
import type { ModelMessage, ModelRequest } from '../model.ts';
import type { TokenLimitName } from './token-limit-name.ts';

type OpenAiParams = ChatCompletionCreateParamsNonStreaming;
type OpenAiMessage = OpenAiParams['messages'][number];

export interface ParamsContext {
  /** Model or deployment. */
  readonly model: string;
  readonly tokenLimitName: TokenLimitName;
}

/** A request in the words of chat completions; what was not asked for is not sent. */
export function toOpenAiParams(request: ModelRequest, context: ParamsContext): OpenAiParams {
  const { maxOutputTokens, temperature, tools } = request;
  return {
    model: context.model,
    messages: request.messages.map(toOpenAiMessage),
    ...(maxOutputTokens === undefined ? {} : { [context.tokenLimitName]: maxOutputTokens }),
    ...(temperature === undefined ? {} : { temperature }),
    ...(tools === undefined || tools.length === 0
      ? {}
      : {
          tools: tools.map(({ name, description, parameters }) => ({
            type: 'function' as const,
            function: { name, description, parameters: { ...parameters } },
          })),
        }),
  };
}

function toOpenAiMessage(message: ModelMessage): OpenAiMessage {
  if (message.role === 'tool') {
    return { role: 'tool', tool_call_id: message.toolCallId, content: message.content };
  }
  if ('toolCalls' in message) {
    return {
      role: 'assistant',
      content: message.content,
      tool_calls: message.toolCalls.map((call) => ({
        id: call.id,
        type: 'function' as const,
        function: { name: call.name, arguments: call.arguments },
      })),
    };
  }
  return { role: message.role, content: message.content };
}
