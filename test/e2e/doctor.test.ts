import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SECTIONS } from '../../dev/doctor.ts';
import { createDeployment } from '../../dev/doctor/deployment.ts';
import { runDoctor } from '../../dev/doctor/report.ts';
import * as z from 'zod';
import { startVaultEnvironment } from './support/vault-environment.ts';
import { startEnvironment, type TestEnvironment } from './support/start-environment.ts';

const KEY = 'a-key-of-the-functions';
const LOCKED = {
  enableAuth: true,
  keys: { master: 'the-master-key', host: { default: KEY } },
  settings: { AGENT__LIMITS__REQUESTS_PER_MINUTE: '1000', AGENT__CACHE__TTL_SECONDS: '60' },
} as const;

/** Only the boxes that a running app shows. */
const LIVE = SECTIONS.map(({ title, boxes }) => ({
  title,
  boxes: boxes.filter(({ live }) => live !== undefined),
}));

let environment: TestEnvironment;
beforeAll(async () => {
  environment = await startEnvironment(LOCKED);
});
afterAll(() => environment.stop());

async function statesOf(url: string) {
  const deployment = createDeployment(new URL(url), { key: KEY });
  const results = await runDoctor(LIVE, { deployment });
  const numbersOf = (state: string): number[] =>
    results.filter((result) => result.state === state).map(({ number }) => number);
  return { failing: numbersOf('fail'), yours: numbersOf('yours'), count: results.length };
}

describe('npm run doctor -- --url', () => {
  it('finds every box true on a correct app that has no telemetry configured', async () => {
    const { failing, yours, count } = await statesOf(environment.url);

    expect(failing).toEqual([]);
    expect(yours).toEqual([49, 89, 129]);
    expect(count).toBeGreaterThan(20);
  });

  it('finds the boxes of callers, limits and cache false while they are off', async () => {
    const open = await startEnvironment();
    try {
      const { failing } = await statesOf(open.url);

      expect(failing).toEqual([7, 42, 43, 106]);
    } finally {
      await open.stop();
    }
  });

  it('finds the boxes false that something in front of the app breaks', async () => {
    const front = await startFront(environment.url);
    try {
      const { failing } = await statesOf(front.url);

      expect(failing).toEqual([44, 74, 77, 120, 128]);
    } finally {
      front.stop();
    }
  });

  it('finds the boxes of the model false while the model is dead', async () => {
    const orphan = await startEnvironment(LOCKED);
    try {
      await orphan.model.stop();

      const { failing } = await statesOf(orphan.url);

      expect(failing).toEqual(expect.arrayContaining([28, 127]));
      expect(failing).not.toContain(17);
    } finally {
      await orphan.stop();
    }
  });

  it('finds the boxes of telemetry false while its backend refuses', async () => {
    const mute = await startEnvironment({
      ...LOCKED,
      settings: {
        ...LOCKED.settings,
        APPLICATIONINSIGHTS_CONNECTION_STRING:
          'InstrumentationKey=00000000-0000-0000-0000-000000000000;IngestionEndpoint=http://127.0.0.1:9/',
      },
    });
    try {
      const { failing } = await statesOf(mute.url);

      expect(failing).toEqual([89, 129]);
    } finally {
      await mute.stop();
    }
  });

  it('finds the boxes of the vault false while it does not answer, and what then cannot start', async () => {
    const vaults = await startVaultEnvironment();
    vaults.vault.be({ kind: 'down' });
    const orphan = await startEnvironment({
      ...LOCKED,
      settings: { ...LOCKED.settings, ...vaults.settings, AGENT__SECRETS__LOAD_TIMEOUT_MS: '500' },
    });
    try {
      const { failing } = await statesOf(orphan.url);

      expect(failing).toEqual(expect.arrayContaining([8, 28, 32, 63, 127]));
      expect(failing).not.toContain(17);
    } finally {
      await orphan.stop();
      await vaults.stop();
    }
  });
});

/** A gateway that allows every origin, drops request ids, and closes the metrics and the document. */
async function startFront(target: string) {
  async function forward(request: IncomingMessage, response: ServerResponse) {
    if (/^\/(?:metrics|openapi\.json)$/.test(request.url ?? ''))
      return response.writeHead(404).end();
    const { 'x-functions-key': key, 'content-type': type } = request.headers;
    const body = await buffer(request);
    const answer = await fetch(`${target}${request.url}`, {
      method: request.method ?? 'GET',
      headers: {
        ...(typeof key === 'string' && { 'x-functions-key': key }),
        ...(type !== undefined && { 'content-type': type }),
      },
      ...(body.byteLength > 0 && { body }),
    });
    for (const [name, value] of answer.headers) {
      if (!/^(?:content-(?:length|encoding)|connection|transfer-encoding)$/.test(name)) {
        response.setHeader(name, value);
      }
    }
    response.setHeader('access-control-allow-origin', '*');
    return response.writeHead(answer.status).end(await answer.text());
  }
  const server = createServer((request, response) => void forward(request, response));
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = z.object({ port: z.number() }).parse(server.address());
  return {
    url: `http://127.0.0.1:${port}`,
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}
