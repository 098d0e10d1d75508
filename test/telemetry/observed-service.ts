import { HttpRequest, InvocationContext, type HttpResponseInit } from '@azure/functions';
import {
  startDevelopmentModel,
  type DevelopmentModel,
} from '../../dev/model/start-development-model.ts';
import {
  createService,
  EXPORTER_ENVIRONMENT,
  type Service,
} from '../../shared/composition-root.ts';
import { chatHandler } from '../../shared/http/chat-handler.ts';
import { meteredHandler } from '../../shared/http/admission.ts';
import type { Ingestion } from '../support/ingestion.ts';

export const TRACE_ID = '11112222333344445555666677778888';
export const CALLERS_SPAN = '1234123412341234';

export interface ObservedService {
  readonly service: Service;
  readonly model: DevelopmentModel;
  readonly lines: readonly string[];
  ask(body: Readonly<Record<string, unknown>>): Promise<HttpResponseInit>;
  /** Sends what waits, as at the end of an instance. */
  close(): Promise<void>;
  stop(): Promise<void>;
}

export interface ObservedOptions {
  readonly ingestion?: Pick<Ingestion, 'connectionString' | 'transport'>;
  readonly environment?: Readonly<Record<string, string>>;
  readonly agentToml?: string;
}

/** Sets what the start of a worker sets in the environment of the exporter. */
export function prepareExporter(): void {
  Object.assign(process.env, EXPORTER_ENVIRONMENT);
}

/** The whole service in this process, with a real model server and its telemetry sent to loopback. */
export async function startObservedService(options: ObservedOptions): Promise<ObservedService> {
  prepareExporter();
  const model = await startDevelopmentModel({ tokenDelayMs: 1, scale: 0.02 });
  const lines: string[] = [];
  const { ingestion, agentToml = '' } = options;
  const service = await createService(
    {
      OPENAI_BASE_URL: model.url,
      OPENAI_API_KEY: 'secret-canary-of-the-model',
      OPENAI_MODEL: 'development-model',
      ...(ingestion && { APPLICATIONINSIGHTS_CONNECTION_STRING: ingestion.connectionString }),
      ...options.environment,
    },
    {
      agentToml,
      writeLog: (line) => void lines.push(line),
      ...(ingestion && { telemetryTransport: ingestion.transport }),
    },
  );
  const handler = meteredHandler(async () => service, chatHandler('chat'));
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => (closing ??= service.close());
  return {
    service,
    model,
    lines,
    ask: async (body) => (await handler(chat(body), context())) ?? {},
    close,
    async stop() {
      await close();
      await model.stop();
    },
  };
}

function chat(body: Readonly<Record<string, unknown>>): HttpRequest {
  return new HttpRequest({
    method: 'POST',
    url: 'http://localhost/api/chat',
    headers: {
      'content-type': 'application/json',
      'x-forwarded-for': '192.0.2.7',
      traceparent: `00-${TRACE_ID}-${CALLERS_SPAN}-01`,
    },
    body: { string: JSON.stringify(body) },
  });
}

function context(): InvocationContext {
  const trigger = { type: 'httpTrigger', name: 'request', route: 'api/chat' };
  return new InvocationContext({ functionName: 'chat', options: { trigger } });
}
