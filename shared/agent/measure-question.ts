import { boundOf, type ModelParameters, type Question } from './agent.ts';

/** What a turn is made of before it is begun, as far as its size goes. */
export interface QuestionSize {
  /** Every text that goes to the model. */
  readonly texts: readonly string[];
  /** Bound on the answer, where there is one. */
  readonly maxOutputTokens: number | undefined;
}

/** How much a question asks for, of an agent with these instructions and parameters. */
export function measureQuestion(
  question: Question,
  { instructions, parameters = {} }: { instructions: string; parameters?: ModelParameters },
): QuestionSize {
  const { message, earlier = [], maxOutputTokens } = question;
  return {
    texts: [instructions, ...earlier.map(({ content }) => content), message],
    maxOutputTokens: boundOf(maxOutputTokens, parameters.maxOutputTokens),
  };
}
