import * as z from 'zod';
import type { Clock } from '../clock.ts';
import { parseJson } from '../json.ts';
import { linkController, raceAbort } from '../resilience/abort.ts';
import { describeError } from '../telemetry/describe-error.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { channelOf, type InputText } from './prompt-injection.ts';

/** Prompt Shields of Azure AI Content Safety: a second opinion. */
export interface PromptShields {
  /**
   * The texts that are attacks; undefined if the service did not answer, so that the local score
   * decides alone. Rejects only with the reason of the signal.
   */
  detect(
    inputs: readonly InputText[],
    signal: AbortSignal,
  ): Promise<readonly InputText[] | undefined>;
}

interface PromptShieldsOptions {
  /** The address of the resource, such as `https://NAME.cognitiveservices.azure.com`. */
  readonly endpoint: string;
  /** The header with the key or the token, for each call. */
  readonly authorize: () => Promise<Readonly<Record<string, string>>>;
  readonly post: (request: ShieldRequest) => Promise<ShieldResponse>;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

export interface ShieldRequest {
  readonly address: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly signal: AbortSignal;
}

export interface ShieldResponse {
  readonly status: number;
  readonly body: string;
}

const API_VERSION = '2024-09-01';
/** Limits of the service: characters of the user prompt, and of all documents together. */
const MAX_CHARS = 10_000;
const MAX_DOCUMENTS = 5;
/** After a failure it is not called for so long, so that an outage does not delay every run. */
const COOLDOWN_MS = 10_000;

const analysis = z.object({ attackDetected: z.boolean() });
const answerSchema = z.object({
  userPromptAnalysis: analysis.nullish(),
  documentsAnalysis: z.array(analysis).nullish(),
});

export function createPromptShields(options: PromptShieldsOptions): PromptShields {
  const { clock, telemetry } = options;
  let retryAt = 0;
  return {
    async detect(inputs, signal) {
      if (Math.abs(retryAt - clock.now()) <= COOLDOWN_MS && clock.now() < retryAt) return undefined;
      try {
        return await call(inputs, { options, signal });
      } catch (thrown) {
        if (signal.aborted) throw thrown;
        retryAt = clock.now() + COOLDOWN_MS;
        telemetry.warn('prompt shields failed', { cause: describeError(thrown) });
        return undefined;
      }
    },
  };
}

interface ShieldCall {
  readonly options: PromptShieldsOptions;
  readonly signal: AbortSignal;
}

/** The last message of the user and the last documents, as far as the service reads them. */
async function call(
  inputs: readonly InputText[],
  { options, signal }: ShieldCall,
): Promise<readonly InputText[]> {
  const { endpoint, authorize, post, timeoutMs } = options;
  const prompt = inputs.findLast((input) => channelOf(input) === 'user');
  const documents = fitDocuments(inputs.filter((input) => channelOf(input) === 'document'));
  const link = linkController(signal);
  const timer = setTimeout(() => link.controller.abort(new ShieldTimeoutError()), timeoutMs);
  try {
    const authorization = await raceAbort(authorize(), link.controller.signal);
    const { status, body } = await post({
      address: `${endpoint.replace(/\/+$/, '')}/contentsafety/text:shieldPrompt?api-version=${API_VERSION}`,
      headers: { 'content-type': 'application/json', ...authorization },
      body: JSON.stringify({
        userPrompt: prompt?.text.slice(0, MAX_CHARS).toWellFormed() ?? '',
        documents: documents.map(({ text }) => text.toWellFormed()),
      }),
      signal: link.controller.signal,
    });
    if (status !== 200) throw new ShieldStatusError(status);
    return readAttacks(answerSchema.parse(parseJson(body)), { prompt, documents });
  } finally {
    clearTimeout(timer);
    link.unlink();
  }
}

interface ShieldedTexts {
  readonly prompt: InputText | undefined;
  readonly documents: readonly { readonly input: InputText }[];
}

/** @throws RangeError if a text has no analysis */
function readAttacks(
  { userPromptAnalysis, documentsAnalysis }: z.infer<typeof answerSchema>,
  { prompt, documents }: ShieldedTexts,
): readonly InputText[] {
  const inputs = documents.map(({ input }) => input);
  const analyses = documentsAnalysis ?? [];
  const hasPrompt = prompt === undefined || userPromptAnalysis?.attackDetected !== undefined;
  if (analyses.length !== inputs.length || !hasPrompt) {
    throw new RangeError('Prompt Shields must analyse each text');
  }
  const attacks = inputs.filter((_, at) => analyses[at]?.attackDetected === true);
  const isPromptAttack = prompt !== undefined && userPromptAnalysis?.attackDetected === true;
  return isPromptAttack ? [prompt, ...attacks] : attacks;
}

class ShieldTimeoutError extends Error {
  constructor() {
    super('Prompt Shields did not answer in time');
    this.name = 'ShieldTimeoutError';
  }
}

class ShieldStatusError extends Error {
  constructor(status: number) {
    super(`Prompt Shields answered with the status ${status}`);
    this.name = 'ShieldStatusError';
  }
}

function fitDocuments(inputs: readonly InputText[]): { text: string; input: InputText }[] {
  let left = MAX_CHARS;
  return inputs.slice(-MAX_DOCUMENTS).map((input) => {
    const text = input.text.slice(0, left);
    left -= text.length;
    return { text, input };
  });
}
