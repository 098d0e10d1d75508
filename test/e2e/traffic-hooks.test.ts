import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { runHook } from '../infra/support/fake-azure.ts';
import { startEnvironment, type TestEnvironment } from './support/start-environment.ts';

const KEY = 'a-key-of-the-functions';
const LOCKED = { enableAuth: true, keys: { master: 'm', host: { default: KEY } } } as const;

/** Front Door on loopback: its origins, their management API, and the weighted route to them. */
async function startFrontDoor(hosts: Readonly<Record<string, string>>) {
  const weights = new Map<string, number>();
  const seen: { readonly origin: string; readonly status: number }[] = [];
  const patches: string[] = [];
  let turn = 0;

  /** Spreads calls evenly by weight, so that a test does not depend on luck. */
  function choose(): string {
    const total = [...weights.values()].reduce((sum, weight) => sum + weight, 0);
    const position = ((turn += 1) * 0.381_966) % 1;
    let reached = 0;
    for (const [origin, weight] of weights) {
      reached += weight / total;
      if (position < reached) return origin;
    }
    return [...weights.keys()].at(-1) ?? '';
  }
  async function patch(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const origin = /\/origins\/(\w+)\?/.exec(request.url ?? '')?.[1] ?? '';
    const { properties } = z
      .object({
        properties: z.object({ enabledState: z.string(), weight: z.number().optional() }),
      })
      .parse(JSON.parse((await buffer(request)).toString()));
    const weight = properties.enabledState === 'Enabled' ? (properties.weight ?? 0) : 0;
    const others = [...weights].filter(([name, value]) => name !== origin && value > 0);
    // As Azure: a route needs an enabled origin.
    if (weight === 0 && others.length === 0) return void response.writeHead(409).end('{}');
    weights.set(origin, weight);
    patches.push(`${origin} ${weight}`);
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  }
  async function forward(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const origin = choose();
    const body = await buffer(request);
    const {
      host: _host,
      connection: _connection,
      'content-length': _length,
      ...headers
    } = request.headers;
    const answer = await fetch(`${hosts[origin]}${request.url}`, {
      method: request.method ?? 'GET',
      headers: Object.entries(headers).map(([name, value]): [string, string] => [
        name,
        String(value),
      ]),
      ...(body.byteLength === 0 ? {} : { body }),
    }).catch(() => undefined);
    const status = answer?.status ?? 502;
    seen.push({ origin, status });
    response.writeHead(status).end(await answer?.text());
  }
  const server = createServer((request, response) => {
    void (request.method === 'PATCH' ? patch : forward)(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`,
    weights,
    seen,
    patches,
    reset() {
      weights.clear();
      weights.set('this', 1000).set('other', 0);
      seen.length = 0;
      patches.length = 0;
    },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

let blue: TestEnvironment;
let green: TestEnvironment;
let bad: TestEnvironment;
let frontDoor: Awaited<ReturnType<typeof startFrontDoor>>;
const hosts: Record<string, string> = {};

beforeAll(async () => {
  // The first one builds the package if that is necessary.
  blue = await startEnvironment(LOCKED);
  [green, bad] = await Promise.all([
    startEnvironment(LOCKED),
    startEnvironment({ ...LOCKED, model: 'dev/500-always' }),
  ]);
  frontDoor = await startFrontDoor(hosts);
});
afterAll(async () => {
  frontDoor.close();
  await Promise.all([blue.stop(), green.stop(), bad.stop()]);
});
beforeEach(() => {
  hosts['this'] = blue.url;
  hosts['other'] = green.url;
  frontDoor.reset();
});

function run(script: string, env: Readonly<Record<string, string>>) {
  return runHook(script, {
    AZURE_ARM_URL: frontDoor.url,
    AZURE_SUBSCRIPTION_ID: 'sub',
    AZURE_RESOURCE_GROUP: 'rg',
    FRONT_DOOR_PROFILE: 'afd',
    FRONT_DOOR_URL: frontDoor.url,
    SMOKE_FUNCTION_KEY: KEY,
    OBSERVE_EVERY_SECONDS: '0.05',
    ...env,
  });
}

describe('switch-traffic.js', () => {
  it('moves all traffic to the other app in steps, without a failed request', async () => {
    const { code, output } = await run('switch-traffic.js other', { STEP_SECONDS: '3' });

    expect(frontDoor.patches).toEqual([
      'other 50',
      'this 950',
      'other 500',
      'this 500',
      'other 1000',
      'this 0',
    ]);
    expect(frontDoor.seen.filter(({ status }) => status !== 200)).toEqual([]);
    expect(output).toContain('switched: all traffic is at other');
    expect(code).toBe(0);
  });

  it('returns all traffic from a bad version, after which no request fails', async () => {
    hosts['other'] = bad.url;

    // A step of five minutes must not last as long for a version that fails.
    const { code, output } = await run('switch-traffic.js other', {
      STEP_SECONDS: '300',
      OBSERVE_EVERY_SECONDS: '0.01',
      MAX_FAILED_PERCENT: '0.01',
    });
    frontDoor.seen.length = 0;
    await Promise.all(
      Array.from({ length: 20 }, () =>
        fetch(`${frontDoor.url}/api/chat`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', 'x-functions-key': KEY },
          body: '{"message":"Hi"}',
        }),
      ),
    );

    expect(Object.fromEntries(frontDoor.weights)).toEqual({ this: 1000, other: 0 });
    expect(output).toMatch(/chats failed .+; all traffic is back at this/);
    expect(code).toBe(1);
    expect(frontDoor.seen).toHaveLength(20);
    expect(frontDoor.seen).toEqual(frontDoor.seen.map(() => ({ origin: 'this', status: 200 })));
  });

  it('refuses an origin that does not exist', async () => {
    const { code, output } = await run('switch-traffic.js green', {});

    expect(output).toContain('the origin must be this or other: green');
    expect(code).toBe(1);
    expect(frontDoor.patches).toEqual([]);
  });
});

describe('canary.js', () => {
  it('takes the share of a good version back at the end and says so', async () => {
    const { code, output } = await run('canary.js other', {
      CANARY_SECONDS: '4',
      CANARY_PERCENT: '30',
    });

    expect(frontDoor.patches).toEqual(['other 300', 'this 700', 'this 1000', 'other 0']);
    expect(frontDoor.seen.some(({ origin }) => origin === 'other')).toBe(true);
    expect(output).toContain('switch-traffic.js other is next');
    expect(code).toBe(0);
  });

  it('ends early on a bad version, and takes its share back', async () => {
    hosts['other'] = bad.url;

    const { code, output } = await run('canary.js other', {
      CANARY_SECONDS: '120',
      CANARY_PERCENT: '50',
    });

    expect(Object.fromEntries(frontDoor.weights)).toEqual({ this: 1000, other: 0 });
    expect(output).toMatch(/chats failed .+; other has no traffic any more/);
    expect(code).toBe(1);
  });
});
