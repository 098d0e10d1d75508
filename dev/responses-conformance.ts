import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { createParser } from 'eventsource-parser';
import { z } from 'zod';
import { CliError, describeCliError } from './cli-error.ts';
import { RESPONSE_CASES, type ResponseCase } from './responses/cases.ts';

/**
 * `npm run responses-conformance -- FILE [--url URL]` checks the responses and events of a running
 * service against the OpenAPI document of the Open Responses specification, which is not part of
 * this project. It exits with 0 if every body and event is valid.
 */
async function main(): Promise<number> {
  try {
    const { positionals, values } = parseArgs({
      allowPositionals: true,
      options: { url: { type: 'string', default: 'http://127.0.0.1:7071/v1' } },
    });
    const [file] = positionals;
    if (file === undefined) throw new CliError('Cannot check: name the file of the specification');
    const validate = readSpecification(file);
    const problems: string[] = [];
    for (const one of RESPONSE_CASES) problems.push(...(await check(one, { ...values, validate })));
    for (const problem of problems) console.log(problem);
    console.log(`${RESPONSE_CASES.length} cases, ${problems.length} problems`);
    return problems.length === 0 ? 0 : 1;
  } catch (error) {
    console.error(describeCliError(error));
    return 1;
  }
}

/** The problems of a value as the named schema sees it. */
type Validate = (schema: string, value: unknown) => readonly string[];

const documentSchema = z.looseObject({
  components: z.object({ schemas: z.record(z.string(), z.unknown()) }),
});

function readSpecification(file: string): Validate {
  const { components } = documentSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  const ajv = new Ajv2020({ strict: false, discriminator: false, allErrors: true });
  ajv.addSchema({ components }, 'spec');
  return (schema, value) => {
    const isValid = ajv.validate({ $ref: `spec#/components/schemas/${schema}` }, value);
    return isValid
      ? []
      : (ajv.errors ?? []).map((error) => `${error.instancePath} ${error.message}`);
  };
}

interface CheckOptions {
  readonly url: string;
  readonly validate: Validate;
}

async function check(one: ResponseCase, options: CheckOptions): Promise<readonly string[]> {
  const streamed = await checkStream(one, options);
  const whole = one.streamOnly === true ? [] : await checkWhole(one, options);
  return [...whole, ...streamed].map((problem) => `${one.name}: ${problem}`);
}

const resourceSchema = z.looseObject({
  status: z.string(),
  output: z.array(z.looseObject({ type: z.string() })),
});

async function checkWhole(one: ResponseCase, { url, validate }: CheckOptions) {
  const response = await post(url, one.body);
  const type = response.headers.get('content-type') ?? '';
  if (!response.ok || !type.includes('application/json'))
    return [`HTTP ${response.status} ${type}`];
  return checkResource(await response.json(), { one, validate });
}

function checkResource(
  value: unknown,
  { one, validate }: { readonly one: ResponseCase; readonly validate: Validate },
): readonly string[] {
  const problems = validate('ResponseResource', value);
  const { status, output } = resourceSchema.parse(value);
  const types = output.map(({ type }) => type);
  const isExpected = status === one.status && types.join() === one.output.join();
  return isExpected ? problems : [...problems, `ended as ${status} with ${types.join()}`];
}

const eventSchema = z.looseObject({
  type: z.string(),
  sequence_number: z.int(),
  response: z.unknown().optional(),
});

async function checkStream(one: ResponseCase, options: CheckOptions): Promise<readonly string[]> {
  const { url, validate } = options;
  const response = await post(url, { ...one.body, stream: true });
  if (!response.ok) return [`HTTP ${response.status} for the stream`];
  const problems: string[] = [];
  const frames = readFrames(await response.text());
  if (frames.at(-1)?.data !== '[DONE]') problems.push('the stream has no [DONE]');
  for (const [index, { event, data }] of frames.slice(0, -1).entries()) {
    const value = eventSchema.parse(JSON.parse(data));
    if (value.type !== event) problems.push(`the event ${event} has the type ${value.type}`);
    if (value.sequence_number !== index) problems.push(`event ${index} has another number`);
    const found = validate(schemaOf(value.type), value);
    problems.push(...found.map((problem) => `${value.type}${problem}`));
  }
  const last = eventSchema.parse(JSON.parse(frames.at(-2)?.data ?? 'null'));
  return [...problems, ...checkResource(last.response, { one, validate })];
}

/** `response.output_text.delta` has the schema `ResponseOutputTextDeltaStreamingEvent`. */
function schemaOf(type: string): string {
  const words = type.split(/[._]/).map((word) => word.charAt(0).toUpperCase() + word.slice(1));
  return `${words.join('')}StreamingEvent`;
}

function readFrames(text: string): { readonly event: string; readonly data: string }[] {
  const frames: { event: string; data: string }[] = [];
  const parser = createParser({
    onEvent: ({ event, data }) => frames.push({ event: event ?? '', data }),
  });
  parser.feed(text);
  return frames;
}

function post(url: string, body: unknown): Promise<Response> {
  return fetch(`${url}/responses`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

process.exitCode = await main();
