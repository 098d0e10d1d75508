import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ask, createAll, guessOf, type Ids, ROUTES } from '../../dev/guess-ids/guess-ids.ts';
import { from } from './support/callers.ts';
import { type CountedStorage, startCountedStorage } from './support/counted-storage.ts';
import { eventually } from './support/post-chat.ts';
import { startEnvironment, type TestEnvironment } from './support/start-environment.ts';

const OTHER = from('198.51.100.1');
const OWNER = from('203.0.113.9');

let storage: CountedStorage;
let environment: TestEnvironment;
let ids: Ids;
beforeAll(async () => {
  storage = await startCountedStorage();
  environment = await startEnvironment({
    settings: { AzureWebJobsStorage: storage.connectionString },
  });
  ids = await createAll(environment.url);
  const stateOf = async (path: string) =>
    (await fetch(environment.url + path, { headers: OWNER })).text();
  const { run, batch } = ids;
  await eventually('the run ends', async () =>
    (await stateOf(`/api/chat/${run}`)).includes('completed'),
  );
  const batchIsDone = async () =>
    (await stateOf(`/v1/batches/${batch}`)).includes('"status":"completed"');
  await eventually('the batch ends', batchIsDone);
});
afterAll(async () => {
  await environment.stop();
  await storage.stop();
});

const CASES = Object.entries(ROUTES).flatMap(([kind, routes]) =>
  routes.map((route) => ({
    kind,
    route,
    name: `${route.method} ${route.path} ${route.body === undefined ? '' : JSON.stringify(route.body(kind))}`,
  })),
);

/** What a caller reads, and what the app asks of storage for it. */
async function lookUp(
  kind: string,
  { route, id }: Pick<Parameters<typeof ask>[1], 'route' | 'id'>,
) {
  const { status, text } = await ask(environment.url, { route, id, headers: OTHER });
  const calls = storage.takeRequests().map((line) => line.replaceAll(id, 'ID'));
  return { kind, status, text, calls };
}

describe('A7: what belongs to another caller', () => {
  it.each(CASES)('is like nothing for $name', async ({ kind, route }) => {
    const id = ids[kind as keyof Ids];
    storage.takeRequests();

    const foreign = await lookUp(kind, { route, id });
    const absent = await lookUp(kind, { route, id: guessOf(id) });

    expect([400, 404]).toContain(foreign.status);
    expect(foreign).toEqual(absent);
    expect(absent.calls).not.toEqual([]);
  });

  it('is still there for its owner', async () => {
    const answers = await Promise.all(
      Object.entries(ROUTES).map(async ([kind, [route]]) => {
        const id = ids[kind as keyof Ids];
        return route && (await ask(environment.url, { route, id, headers: OWNER })).status;
      }),
    );

    expect(answers).toEqual([200, 200, 200, 200, 200, 200]);
  });
});
