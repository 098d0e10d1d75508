import { ApiError } from './api-error.ts';
import { replyModels } from './faults/answers.ts';
import { brokenBodyModels } from './faults/broken-bodies.ts';
import { connectionModels } from './faults/connections.ts';
import { fieldQuirkModels } from './faults/field-quirks.ts';
import { filterModels } from './faults/filters.ts';
import { leakModels } from './faults/leaks.ts';
import { rateLimitModels } from './faults/rate-limits.ts';
import { rejectionModels } from './faults/rejections.ts';
import { serverErrorModels } from './faults/server-errors.ts';
import { slowModels } from './faults/slow.ts';
import { streamShapeModels } from './faults/stream-shapes.ts';
import type { Parameter, ScriptedModel } from './faults/scripted-model.ts';
import { sendReply } from './send-reply.ts';

const PREFIX = 'dev/';

/** Every scripted model, in the order of the documentation and of GET /v1/models. */
export const SCRIPTED_MODELS: readonly ScriptedModel[] = [
  ...replyModels,
  ...leakModels,
  ...rateLimitModels,
  ...serverErrorModels,
  ...connectionModels,
  ...slowModels,
  ...streamShapeModels,
  ...brokenBodyModels,
  ...filterModels,
  ...rejectionModels,
  ...fieldQuirkModels,
];

const PLAIN_MODEL: ScriptedModel = {
  name: 'development-model',
  description: 'Any name without the prefix: repeats the text of the user, token by token.',
  answer: (writer) => sendReply(writer),
};

// The longest name first, so that `reset-then-ok` is not parsed as `reset` with a parameter.
const BY_LENGTH = [...SCRIPTED_MODELS].sort((a, b) => b.name.length - a.name.length);

export interface FoundModel {
  readonly model: ScriptedModel;
  readonly parameter: Parameter;
}

/**
 * The script behind a model name.
 * @throws ApiError 404 for an unknown name with the prefix
 */
export function findModel(name: string): FoundModel {
  if (!name.startsWith(PREFIX)) return { model: PLAIN_MODEL, parameter: { text: '', number: 0 } };
  const wanted = name.slice(PREFIX.length);
  for (const model of BY_LENGTH) {
    const parameter = readParameter(model, wanted);
    if (parameter !== undefined) return { model, parameter };
  }
  throw new ApiError(
    404,
    `The scripted model '${name}' does not exist: GET /v1/models lists them`,
    {
      param: 'model',
      code: 'model_not_found',
    },
  );
}

/** Whether the name belongs to a script. */
export function hasModel(name: string): boolean {
  const wanted = name.slice(PREFIX.length);
  return name.startsWith(PREFIX) && BY_LENGTH.some((model) => readParameter(model, wanted));
}

/** The name of a model with its parameter: `dev/cut-<tokens>`, `dev/503-then-ok[-<times>]`. */
export function patternOf({ name, parameter }: ScriptedModel): string {
  if (parameter === undefined) return `${PREFIX}${name}`;
  const suffix = `-<${parameter.label}>`;
  return `${PREFIX}${name}${parameter.standard === undefined ? suffix : `[${suffix}]`}`;
}

/** The response to GET /v1/models, which is also the list of scripts. */
export function listModels(): unknown {
  const rows = SCRIPTED_MODELS.map((model) => [patternOf(model), model.description]);
  const data = [[PLAIN_MODEL.name, PLAIN_MODEL.description], ...rows].map(([id, description]) => ({
    id,
    object: 'model',
    created: 0,
    owned_by: 'development-model',
    description,
  }));
  return { object: 'list', data };
}

function readParameter({ name, parameter }: ScriptedModel, wanted: string): Parameter | undefined {
  if (wanted === name) {
    if (parameter === undefined) return { text: '', number: 0 };
    return parameter.standard === undefined ? undefined : asParameter(parameter.standard);
  }
  if (parameter === undefined || !wanted.startsWith(`${name}-`)) return undefined;
  const read = asParameter(wanted.slice(name.length + 1));
  if (read.text === '' || (parameter.kind === 'number' && Number.isNaN(read.number))) {
    return undefined;
  }
  return read;
}

function asParameter(text: string): Parameter {
  return { text, number: /^\d{1,12}(\.\d+)?$/.test(text) ? Number(text) : Number.NaN };
}
