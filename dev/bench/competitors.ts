import { join } from 'node:path';
import { buildIfStale } from '../faults/fault-environment.ts';
import { UNLIMITED, WITHOUT_QUEUES } from '../faults/settings.ts';
import { PROJECT_ROOT } from '../project-root.ts';
import { startChildServer, type ChildServer } from './child-server.ts';
import { startPortkey } from './portkey.ts';

/** One way to send the same request to the same model. */
export interface Competitor {
  readonly name: 'chat' | 'completions' | 'pass-through' | 'upstream' | 'portkey';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  body(stream: boolean): string;
  /** The process that does the work; undefined for the upstream, which is not measured. */
  readonly pid?: number;
}

export interface Competitors {
  readonly all: readonly Competitor[];
  stop(): Promise<void>;
}

const KEY = 'bench';
const MODEL = 'dev/instant';
const MESSAGE = 'How fast are you?';
const JSON_TYPE = { 'content-type': 'application/json' };

/** Starts all competitors; Portkey's gateway only with `portkey`. */
export async function startCompetitors(options: {
  readonly portkey: boolean;
}): Promise<Competitors> {
  await buildIfStale();
  const parts: ChildServer[] = [];
  async function add(script: string, input: unknown): Promise<ChildServer> {
    const part = await startChildServer({ script, input });
    parts.push(part);
    return part;
  }
  async function stop(): Promise<void> {
    for (const part of parts.splice(0).toReversed()) await part.stop();
  }
  try {
    const upstream = await add('run-model.ts', {});
    const model = { OPENAI_BASE_URL: upstream.url, OPENAI_API_KEY: KEY, OPENAI_MODEL: MODEL };
    const ours = await add('run-host.ts', {
      appRoot: PROJECT_ROOT,
      environment: {
        ...model,
        ...UNLIMITED,
        ...WITHOUT_QUEUES,
      },
    });
    const bare = await add('run-host.ts', {
      appRoot: join(import.meta.dirname, 'pass-through'),
      environment: model,
    });
    const portkey = options.portkey ? await startPortkey() : undefined;
    if (portkey !== undefined) parts.push(portkey);
    return { all: list({ upstream, ours, bare, portkey }), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface ServerUrls {
  readonly upstream: ChildServer;
  readonly ours: ChildServer;
  readonly bare: ChildServer;
  readonly portkey: ChildServer | undefined;
}

function list({ upstream, ours, bare, portkey }: ServerUrls): Competitor[] {
  const bearer = { ...JSON_TYPE, authorization: `Bearer ${KEY}` };
  const completions = '/v1/chat/completions';
  return [
    {
      name: 'chat',
      url: `${ours.url}/api/chat`,
      headers: JSON_TYPE,
      body: (stream) => JSON.stringify({ message: MESSAGE, stream }),
      pid: ours.pid,
    },
    {
      name: 'completions',
      url: ours.url + completions,
      headers: JSON_TYPE,
      body: (stream) => toCompletions('agent', stream),
      pid: ours.pid,
    },
    {
      name: 'pass-through',
      url: bare.url + completions,
      headers: JSON_TYPE,
      body: (stream) => toCompletions(MODEL, stream),
      pid: bare.pid,
    },
    {
      name: 'upstream',
      url: `${upstream.url}/chat/completions`,
      headers: bearer,
      body: (stream) => toCompletions(MODEL, stream),
    },
    ...(portkey === undefined
      ? []
      : [
          {
            name: 'portkey' as const,
            url: portkey.url + completions,
            headers: {
              ...bearer,
              'x-portkey-provider': 'openai',
              'x-portkey-custom-host': upstream.url,
            },
            body: (stream: boolean) => toCompletions(MODEL, stream),
            pid: portkey.pid,
          },
        ]),
  ];
}

function toCompletions(model: string, stream: boolean): string {
  return JSON.stringify({ model, stream, messages: [{ role: 'user', content: MESSAGE }] });
}
