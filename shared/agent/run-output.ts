import { ServiceError } from '../errors.ts';
import type { ModelMessage, ModelResponse, ResponseFormat, TextDelta } from '../model/model.ts';
import type { JsonPrefix } from './json-prefix.ts';
import type { SchemaProblem } from './json-schema.ts';
import type { OutputCheck } from './structured-output.ts';

/** What a run does with the text of its steps. */
export interface RunOutput {
  /** @throws ServiceError upstream_invalid if the text that was sent cannot be continued */
  startStep(): void;
  /** What of a delta may be sent; undefined if nothing. */
  pass(delta: TextDelta): TextDelta | undefined;
  /**
   * Checks the last text of a run. Returns the messages that let the model correct it, or undefined
   * if it is valid.
   * @throws ServiceError upstream_invalid if it is not valid and cannot be corrected
   */
  check(response: ModelResponse, mayCorrect: boolean): readonly ModelMessage[] | undefined;
  /** The text of the result. */
  join(texts: readonly string[], last: ModelResponse): string;
}

/** Stands between the texts of two steps, in whole answers and in streams. */
const SEPARATOR = '\n\n';

/** Any text is an answer, and the text of all steps belongs to it. */
export function createFreeOutput(): RunOutput {
  let hasText = false;
  let separator = '';
  return {
    startStep() {
      separator = hasText ? SEPARATOR : '';
    },
    pass(delta) {
      hasText = true;
      if (separator === '') return delta;
      const { pieces: _pieces, text, ...kind } = delta;
      const separated = { ...kind, text: separator + text };
      separator = '';
      return separated;
    },
    check: () => undefined,
    join: (texts) => texts.join(SEPARATOR),
  };
}

/**
 * The last text is the answer. A stream sends only what can still become a valid answer, and nothing
 * of a text that cannot: then the model may correct it.
 */
export function createStructuredOutput(check: OutputCheck, format: ResponseFormat): RunOutput {
  let prefix: JsonPrefix = check.startPrefix();
  let isSent = false;
  /** The one correction was made. */
  let isCorrected = false;
  return {
    startStep() {
      if (isSent) throw invalidOutput({ path: '', expected: 'must be JSON' });
      prefix = check.startPrefix();
    },
    pass(delta) {
      if (delta.isRefusal === true) return delta;
      if (!prefix.push(delta.text)) return undefined;
      isSent ||= delta.text.trim() !== '';
      return delta;
    },
    check(response, mayCorrect) {
      const { text, refusal, finishReason, isTextDropped } = response;
      // A refusal has words of its own, and an answer that is too long says so by its reason.
      if (refusal !== undefined || finishReason === 'length') return undefined;
      if (isTextDropped === true) throw invalidOutput({ path: '', expected: 'must be shorter' });
      const problem = check.validate(text);
      if (problem === undefined) return undefined;
      if (isSent || isCorrected || !mayCorrect) throw invalidOutput(problem);
      isCorrected = true;
      return [
        { role: 'assistant', content: text },
        { role: 'user', content: describeCorrection(problem, format) },
      ];
    },
    join: (_texts, { text }) => text,
  };
}

function invalidOutput({ path, expected }: SchemaProblem): ServiceError {
  const place = path === '' ? 'The answer of the model' : `The answer of the model at "${path}"`;
  return new ServiceError('upstream_invalid', `${place} is not valid: it ${expected}`);
}

/** Schemas up to this length are repeated: some endpoints ignore the response format. */
const MAX_REPEATED_CHARS = 8_192;

function describeCorrection({ path, expected }: SchemaProblem, format: ResponseFormat): string {
  const place = path === '' ? 'It' : `The value at "${path}"`;
  const schema = format.type === 'json_schema' ? JSON.stringify(format.schema) : '';
  const isRepeated = schema !== '' && schema.length <= MAX_REPEATED_CHARS;
  return (
    `Your last answer is not valid: ${place} ${expected}. ` +
    `Answer again with the corrected JSON and nothing else.` +
    (isRepeated ? ` Its JSON Schema: ${schema}` : '')
  );
}
