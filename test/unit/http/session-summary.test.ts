import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { createAgent } from '../../../shared/agent/run-loop.ts';
import { systemClock } from '../../../shared/clock.ts';
import { ServiceError } from '../../../shared/errors.ts';
import type { ModelRequest, ModelResponse } from '../../../shared/model/model.ts';
import { createChatSessions } from '../../../shared/sessions/chat-sessions.ts';
import { createConversationStore } from '../../../shared/sessions/conversation-store.ts';
import { createMemoryContainer } from '../../support/batch/memory-container.ts';
import { createChat } from '../../support/chat-handler.ts';
import { guarded } from '../../support/guarded.ts';
import { call, postJson } from '../../support/http-call.ts';
import { answerOf, createScriptedModel } from '../../support/scripted-model.ts';

const answerSchema = z.looseObject({
  sessionId: z.string(),
  response: z.string(),
  usage: z.looseObject({ totalTokens: z.int() }),
});

interface Script {
  readonly isSummarized?: boolean;
  readonly summarize?: () => ModelResponse;
}

const isSummary = ({ messages }: ModelRequest) =>
  JSON.stringify(messages.at(-1)).includes('Write a summary');

/** Chats of one session. Each message of the history counts 100 of 1,000 tokens. */
function setUp({ isSummarized = true, summarize = () => answerOf('SUMMARY') }: Script = {}) {
  const store = createConversationStore({
    container: createMemoryContainer(),
    encryption: { seal: (text) => text, open: (text) => text },
    retentionDays: 30,
    clock: systemClock,
  });
  const sessions = createChatSessions({
    store,
    clock: systemClock,
    maxTokens: 1_000,
    estimate: () => 100,
    isSummarized,
  });
  const respond = async (request: ModelRequest) =>
    isSummary(request)
      ? summarize()
      : answerOf(`answer to ${JSON.stringify(request.messages.at(-1)?.content)}`);
  const model = createScriptedModel({
    answers: Array.from({ length: 40 }, () => respond),
    streams: Array.from(
      { length: 40 },
      () =>
        async function* (request: ModelRequest) {
          yield { type: 'done', response: await respond(request) } as const;
        },
    ),
  });
  const { agent } = guarded(createAgent({ model, instructions: 'x' }), {
    piiDetection: { input: 'redact' },
  });
  const { handler } = createChat({ agent, sessions });
  let sessionId: string | undefined;
  return {
    model,
    handler,
    async chat(message: string) {
      const answered = await call(handler, postJson({ message, ...(sessionId && { sessionId }) }));
      const answer = answerSchema.parse(answered.json());
      sessionId ??= answer.sessionId;
      return answer;
    },
    sessionId: () => sessionId,
    /** What the model read of the history in its last call. */
    lastHistory: () =>
      (model.calls.at(-1)?.request.messages ?? []).slice(1, -1).map(({ content }) => content),
    summaries: () => model.calls.filter(({ request }) => isSummary(request)),
  };
}

async function chatTimes(count: number, test: ReturnType<typeof setUp>) {
  const answers = [];
  for (let number = 1; number <= count; number += 1) {
    answers.push(await test.chat(`message ${number} of ada@example.com`));
  }
  return answers;
}

describe('a session whose history is too long', () => {
  it('is read as a summary and the newest messages, and the summary is paid once', async () => {
    const test = setUp();

    const answers = await chatTimes(8, test);

    expect(test.summaries()).toHaveLength(1);
    expect(answers.map(({ usage }) => usage.totalTokens)).toEqual([5, 5, 5, 5, 5, 5, 10, 5]);
    const [first, ...others] = test.lastHistory();
    expect(first).toBe('[Summary of our conversation so far]\nSUMMARY');
    expect(others).toHaveLength(6);
    expect(others[0]).toContain('message 5');
  });

  it('is summarized from the summary before it, behind the guardrails', async () => {
    let count = 0;
    const test = setUp({ summarize: () => answerOf(`SUMMARY ${(count += 1)}`) });

    await chatTimes(11, test);

    const [first, second] = test.summaries().map(({ request }) => JSON.stringify(request.messages));
    expect(test.summaries()).toHaveLength(2);
    expect(first).toContain('message 1 of [EMAIL_1]');
    expect(first).not.toContain('ada@example.com');
    expect(second).toContain('SUMMARY 1');
    expect(second).not.toContain('message 1 of');
    expect(second).toContain('message 5 of');
  });

  it.each([
    [
      'fails',
      () => {
        throw new ServiceError('upstream_unavailable', 'x');
      },
    ],
    ['is empty', () => answerOf(' ')],
    ['is refused', () => ({ ...answerOf('No.'), refusal: 'No.' })],
  ])('is trimmed if its summary %s', async (_name, summarize) => {
    const test = setUp({ summarize });

    const answers = await chatTimes(7, test);

    expect(answers.at(-1)?.response).toContain('message 7');
    expect(test.lastHistory()).toHaveLength(10);
    expect(test.lastHistory()[0]).toContain('message 2');
  });

  it('is trimmed without a model call if summaries are off', async () => {
    const test = setUp({ isSummarized: false });

    await chatTimes(8, test);

    expect(test.model.calls).toHaveLength(8);
    expect(test.lastHistory()).toHaveLength(10);
  });

  it('is summarized for a stream as well, whose usage includes it', async () => {
    const test = setUp();
    await chatTimes(6, test);
    const body = { message: 'message 7', sessionId: test.sessionId(), stream: true };

    const answered = await call(test.handler, postJson(body));

    expect(answered.text).toContain('"totalTokens":10');
    expect(test.summaries()).toHaveLength(1);
  });
});
