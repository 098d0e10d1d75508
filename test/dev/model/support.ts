import OpenAI from 'openai';
import { afterEach } from 'vitest';
import {
  startDevelopmentModel,
  type DevelopmentModel,
  type DevelopmentModelOptions,
  type RecordedCall,
} from '../../../dev/model/start-development-model.ts';

const running: DevelopmentModel[] = [];

afterEach(async () => {
  await Promise.all(running.splice(0).map((model) => model.stop()));
});

/** A development model that ends with the test; a minute of script is 60 ms here. */
export async function startModel(options: DevelopmentModelOptions = {}): Promise<DevelopmentModel> {
  const model = await startDevelopmentModel({ tokenDelayMs: 0, scale: 0.001, ...options });
  running.push(model);
  return model;
}

/** The real client without retries of its own. */
export function clientOf(model: DevelopmentModel, apiKey = 'any-key'): OpenAI {
  return new OpenAI({ baseURL: model.url, apiKey, maxRetries: 0 });
}

export function say(content: string): { role: 'user'; content: string }[] {
  return [{ role: 'user', content }];
}

export interface PostOptions {
  readonly body: unknown;
  readonly path?: string;
  readonly headers?: Record<string, string>;
  readonly signal?: AbortSignal;
}

/** A bare request, for what the client would hide. */
export function post(model: DevelopmentModel, options: PostOptions): Promise<Response> {
  const { body, path = '/v1/chat/completions', headers, signal } = options;
  return fetch(`http://127.0.0.1:${model.port}${path}`, {
    method: 'POST',
    redirect: 'manual',
    headers: headers ?? { authorization: 'Bearer any-key' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
    ...(signal && { signal }),
  });
}

/** The body of a request to one scripted model. */
export function ask(model: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  return { model, messages: say('Hello'), ...more };
}

/** Everything a stream gave before it ended, and the error it ended with, if any. */
export async function readStream(
  client: OpenAI,
  model: string,
  content = 'Hello',
): Promise<{ text: string; finishReason: string | undefined; error: unknown }> {
  let text = '';
  let finishReason: string | undefined;
  try {
    const stream = await client.chat.completions.create({
      model,
      stream: true,
      messages: say(content),
    });
    for await (const chunk of stream) {
      text += chunk.choices?.[0]?.delta.content ?? '';
      finishReason = chunk.choices?.[0]?.finish_reason ?? finishReason;
    }
    return { text, finishReason, error: undefined };
  } catch (error) {
    return { text, finishReason, error };
  }
}

/** The only call so far, once it has ended. */
export async function endedCall(model: DevelopmentModel): Promise<RecordedCall> {
  for (;;) {
    const call = model.calls().at(-1);
    if (call !== undefined && call.status !== 'running') return call;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
