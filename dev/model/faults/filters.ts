import { composeReply, splitIntoTokens } from '../compose-reply.ts';
import type { ResponseWriter } from '../response-writer.ts';
import { sendReply } from '../send-reply.ts';
import type { ScriptedModel } from './scripted-model.ts';

const MESSAGE =
  "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.";

export const filterModels: readonly ScriptedModel[] = [
  {
    name: 'content-filter',
    description: 'Always 400 content_filter as Azure sends it, for violence and jailbreak.',
    answer: refusePrompt,
  },
  {
    name: 'content-filter-stream',
    parameter: { label: 'tokens', kind: 'number', standard: '3' },
    description: 'finish_reason content_filter after that many tokens.',
    answer: (writer, { number }) => sendFiltered(writer, number),
  },
  {
    name: 'content-filter-finish',
    description: 'finish_reason content_filter without any text.',
    answer: (writer) => sendFiltered(writer, 0),
  },
  {
    name: 'refusal',
    description: 'A message with a refusal in place of content.',
    answer: (writer) =>
      sendReply(writer, {
        text: '',
        refusal: 'I am the development model, and by script I refuse this.',
        toolCalls: [],
        finishReason: 'stop',
      }),
  },
];

function sendFiltered(writer: ResponseWriter, tokens: number): Promise<void> {
  const { text } = composeReply(writer.request);
  const start = splitIntoTokens(text).slice(0, tokens).join('');
  return sendReply(writer, { text: start, toolCalls: [], finishReason: 'content_filter' });
}

function refusePrompt(writer: ResponseWriter): void {
  const safe = { filtered: false, severity: 'safe' };
  const result = {
    hate: safe,
    self_harm: safe,
    sexual: safe,
    violence: { filtered: true, severity: 'medium' },
    jailbreak: { detected: true, filtered: true },
  };
  const innererror = { code: 'ResponsibleAIPolicyViolation', content_filter_result: result };
  const error = {
    message: MESSAGE,
    type: null,
    param: 'prompt',
    code: 'content_filter',
    status: 400,
    innererror,
  };
  writer.send({ status: 400, body: JSON.stringify({ error }) });
}
