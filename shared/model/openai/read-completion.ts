import { buildAnswer, type AnswerContext } from './read-response.ts';
import { completionSchema } from './schema.ts';
import { invalidAnswer } from '../upstream-error.ts';
import type { ModelAnswer } from '../model.ts';

/** The body of an unstreamed completion as an answer; anything else is refused. */
export function readCompletion(body: string, context: AnswerContext): ModelAnswer {
  const parsed = completionSchema.safeParse(parseJson(body));
  if (!parsed.success) throw invalidAnswer('The body is no chat completion');
  const [choice] = parsed.data.choices;
  if (choice === undefined) throw invalidAnswer('The completion has no choices');
  const { content, refusal, tool_calls: calls } = choice.message;
  return buildAnswer(
    {
      text: content ?? refusal ?? undefined,
      toolCalls: (calls ?? []).map(({ id, function: { name, arguments: text } }) => ({
        id,
        name,
        arguments: text,
      })),
      finishReason: choice.finish_reason,
      model: parsed.data.model,
      usage: parsed.data.usage,
    },
    context,
  );
}

/** JSON as `unknown`; what is none is undefined, which no schema here accepts. */
export function parseJson(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch {
    return undefined;
  }
}
