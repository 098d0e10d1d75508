import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { UnavailableError } from '../../../dev/batch/batch-service.ts';
import { createHttpService } from '../../../dev/batch/http-service.ts';
import { CliError } from '../../../dev/cli-error.ts';

const BATCH = {
  id: 'batch_1',
  status: 'in_progress',
  output_file_id: null,
  error_file_id: null,
  request_counts: { completed: 3, failed: 2 },
  errors: null,
};

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** An app that always gives the same answer and records its requests. */
async function startApp(status: number, body: unknown) {
  const asked: string[] = [];
  const app = createServer(({ method, url }, response) => {
    asked.push(`${method} ${url}`);
    response
      .writeHead(status, { 'content-type': 'application/json', 'retry-after': '7' })
      .end(JSON.stringify(body));
  });
  server = app;
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
  const { port } = app.address() as AddressInfo;
  return { asked, url: `http://127.0.0.1:${port}` };
}

describe('batches by HTTP', () => {
  it('that are picked up are never made anew', async () => {
    const { asked, url } = await startApp(200, BATCH);

    const id = await createHttpService({ url, resumes: true }).submit('batch_1', '{}');

    expect([id, asked]).toEqual(['batch_1', ['GET /v1/batches/batch_1']]);
  });

  it('that are not there cannot be picked up', async () => {
    const { asked, url } = await startApp(404, { error: { message: 'There is no such batch' } });

    const submitting = createHttpService({ url, resumes: true }).submit('job-1', '{}');

    await expect(submitting).rejects.toThrow(/404, There is no such batch$/);
    expect(asked).toEqual(['GET /v1/batches/job-1']);
  });

  it('tell how many items failed', async () => {
    const { url } = await startApp(200, BATCH);

    const progress = await createHttpService({ url }).progress('batch_1');

    expect(progress).toMatchObject({ started: true, done: 5, failed: 2, ended: false });
  });

  it.each([
    [503, true],
    [429, true],
    [404, false],
    [500, false],
  ])('tell by %i whether to ask again: %s', async (status, isAway) => {
    const { url } = await startApp(status, { error: { message: 'No' } });

    const looking = createHttpService({ url }).progress('batch_1');

    const failure = await looking.catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(CliError);
    expect(failure instanceof UnavailableError).toBe(isAway);
    if (isAway) expect(failure).toMatchObject({ what: `status ${status}`, retryAfterSeconds: 7 });
  });

  it('name the app that is not there', async () => {
    const looking = createHttpService({ url: 'http://127.0.0.1:1' }).progress('batch_1');

    await expect(looking).rejects.toThrow('Cannot reach the app at http://127.0.0.1:1');
    await expect(looking).rejects.toThrow(UnavailableError);
  });

  it.each([
    ['a page of somebody else', (response: ServerResponse) => response.end('<html>')],
    [
      'half of an answer',
      (response: ServerResponse) => {
        response.writeHead(200, { 'content-length': '500' }).write('{"id":');
        setImmediate(() => response.destroy());
      },
    ],
  ])('are requested again after %s', async (_name, answer) => {
    const app = createServer((_request, response) => {
      answer(response);
    });
    server = app;
    await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
    const { port } = app.address() as AddressInfo;

    const looking = createHttpService({ url: `http://127.0.0.1:${port}` }).progress('batch_1');

    await expect(looking).rejects.toThrow(UnavailableError);
  });

  it('are read again where the results were cut off', async () => {
    const app = createServer(({ url }, response) => {
      if (url?.startsWith('/v1/batches') === true) {
        response.end(JSON.stringify({ ...BATCH, output_file_id: 'file-1' }));
        return;
      }
      response.writeHead(200, { 'content-length': '500' }).write('{"id":');
      setImmediate(() => response.destroy());
    });
    server = app;
    await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
    const { port } = app.address() as AddressInfo;
    const service = createHttpService({ url: `http://127.0.0.1:${port}` });

    await expect(Array.fromAsync(service.results('batch_1'))).rejects.toThrow(UnavailableError);
  });
});
