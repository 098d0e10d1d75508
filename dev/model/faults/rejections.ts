import * as z from 'zod';
import type { ResponseWriter } from '../response-writer.ts';
import { sendReply } from '../send-reply.ts';
import type { ScriptedModel } from './scripted-model.ts';

export const rejectionModels: readonly ScriptedModel[] = [
  {
    name: 'context-length',
    parameter: { label: 'messages', kind: 'number', standard: '0' },
    description: '400 context_length_exceeded with more messages than that, otherwise answers.',
    answer: (writer, { number }) =>
      writer.request.messages.length > number
        ? writer.sendError(400, "This model's maximum context length is 8192 tokens.", {
            param: 'messages',
            code: 'context_length_exceeded',
          })
        : sendReply(writer),
  },
  {
    name: '400',
    description: 'Always 400 invalid_request_error.',
    answer: (writer) => writer.sendError(400, 'The request is not valid for this model'),
  },
  {
    name: '401',
    description: 'Always 401 invalid_api_key.',
    answer: refuseKey,
  },
  {
    name: '401-unless',
    parameter: { label: 'key', kind: 'text' },
    description: '401 unless that key is sent: a rotated key.',
    answer: (writer, { text }) => (writer.key === text ? sendReply(writer) : refuseKey(writer)),
  },
  {
    name: '403',
    description: 'Always 403.',
    answer: (writer) => writer.sendError(403, 'Access denied', { code: 'permission_denied' }),
  },
  {
    name: '404',
    description: 'Always 404 DeploymentNotFound.',
    answer: (writer) =>
      writer.sendError(404, 'The API deployment for this resource does not exist.', {
        code: 'DeploymentNotFound',
      }),
  },
  ...[301, 302, 307, 308].map(redirect),
  {
    name: 'deprecated-param',
    description: '400 unsupported_parameter if max_tokens is sent, otherwise answers.',
    answer: (writer) =>
      writer.request.raw['max_tokens'] === undefined
        ? sendReply(writer)
        : writer.sendError(
            400,
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
            { param: 'max_tokens', code: 'unsupported_parameter' },
          ),
  },
  {
    name: 'no-temperature',
    description: '400 unsupported_value if a temperature other than 1 is sent, otherwise answers.',
    answer: (writer) =>
      [undefined, null, 1].includes(writer.request.raw['temperature'] as number | undefined)
        ? sendReply(writer)
        : writer.sendError(
            400,
            "Unsupported value: 'temperature' does not support this value with this model. Only the default (1) value is supported.",
            { param: 'temperature', code: 'unsupported_value' },
          ),
  },
  {
    name: 'without',
    parameter: { label: 'field', kind: 'text' },
    description: '400 unsupported_parameter if that field is sent, otherwise answers.',
    answer: (writer, { text: field }) =>
      writer.request.raw[field] === undefined
        ? sendReply(writer)
        : writer.sendError(400, `Unsupported parameter: '${field}' is not supported.`, {
            param: field,
            code: 'unsupported_parameter',
          }),
  },
  {
    name: 'strict-schemas',
    description:
      '400 if a strict schema of an object does not forbid additional properties, otherwise answers.',
    answer: (writer) => {
      const param = findLooseSchema(writer.request.raw);
      return param === undefined
        ? sendReply(writer)
        : writer.sendError(
            400,
            "Invalid schema for the request: 'additionalProperties' is required and must be false.",
            { param },
          );
    },
  },
];

/** The path of the first strict schema that is not closed, as OpenAI names it. */
function findLooseSchema(raw: Readonly<Record<string, unknown>>): string | undefined {
  const { response_format: format, tools } = strictSchemas.parse(raw);
  if (isLoose(format?.json_schema)) return 'response_format';
  const index = tools?.findIndex((tool) => isLoose(tool.function)) ?? -1;
  return index === -1 ? undefined : `tools[${index}].function.parameters`;
}

const strictSchema = z
  .object({ strict: z.boolean(), schema: z.unknown(), parameters: z.unknown() })
  .partial();
const strictSchemas = z
  .object({
    response_format: z.object({ json_schema: strictSchema.optional() }),
    tools: z.array(z.object({ function: strictSchema })),
  })
  .partial();
const openObject = z.object({
  type: z.literal('object'),
  additionalProperties: z.literal(true).optional(),
});

function isLoose(one: z.infer<typeof strictSchema> | undefined): boolean {
  return one?.strict === true && openObject.safeParse(one.schema ?? one.parameters).success;
}

function refuseKey(writer: ResponseWriter): void {
  writer.sendError(401, 'Incorrect API key provided', { code: 'invalid_api_key' });
}

function redirect(status: number): ScriptedModel {
  return {
    name: String(status),
    description: `Always ${status} to a target that counts its requests.`,
    answer: (writer) =>
      writer.send({
        status,
        headers: { location: `${writer.baseUrl}/dev/redirect-target` },
        body: '',
      }),
  };
}
