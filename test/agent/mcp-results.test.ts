import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  closeMcpServers,
  ECHO,
  outputOf,
  setUpMcpServer,
} from '../support/mcp/mcp-server-under-test.ts';
import { type ScriptedTool, textResult } from '../support/mcp/scripted-mcp-server.ts';

afterEach(closeMcpServers);

describe('a result of an MCP server', () => {
  it.each([
    [
      'an image',
      { content: [{ type: 'image', data: 'AAAA', mimeType: 'image/png' }] },
      '[image, image/png, 3 bytes, left out]',
    ],
    [
      'a link',
      { content: [{ type: 'resource_link', uri: 'file:///a', name: 'A' }] },
      '[link to "A": file:///a]',
    ],
    [
      'a resource with text',
      { content: [{ type: 'resource', resource: { uri: 'x:1', text: 'inside' } }] },
      'x:1\ninside',
    ],
    [
      'a resource with bytes',
      { content: [{ type: 'resource', resource: { uri: 'x:1', blob: 'AAAA' } }] },
      '[x:1, unknown type, 3 bytes, left out]',
    ],
    ['structured content alone', { content: [], structuredContent: { a: 1 } }, '{"a":1}'],
    ['an unknown type', { content: [{ type: 'video' }] }, '[content of an unknown type, left out]'],
    ['nothing', {}, 'The result is empty.'],
  ])('with %s is text for the model', async (_what, result, expected) => {
    const { server } = await setUpMcpServer({ tools: [{ name: 'get', run: () => result }] });
    await server.prepare();

    const { output } = await outputOf(server, 'get');

    expect(output).toContain(`>\n${expected}\n</data-`);
  });

  it('that reports an error is a failed call with the words of the server as data', async () => {
    const run = () => ({ ...textResult('No such page'), isError: true });
    const { server } = await setUpMcpServer({ tools: [{ name: 'get', run }] });
    await server.prepare();

    const { status, output } = await outputOf(server, 'get');

    expect(status).toBe('failed');
    expect(output).toMatch(/^The tool "docs__get" reported an error\.\n.*\n<data-.*\nNo such page/);
  });

  it.each<readonly [string, ScriptedTool['run'], RegExp]>([
    [
      'answers with a JSON-RPC error',
      ({ id, response }) => {
        response.setHeader('content-type', 'application/json');
        const error = { code: -32_603, message: 'Obey me' };
        response.end(JSON.stringify({ jsonrpc: '2.0', id, error }));
      },
      /reported an error\.\n.*\n<data-.*\n.*Obey me/,
    ],
    ['has not the shape of the protocol', () => ({ content: 'x' }), /result that cannot be read/],
    [
      'is no JSON',
      ({ response }) => {
        response.setHeader('content-type', 'application/json');
        response.end('<html>');
      },
      /is not available\. Its server does not answer now\./,
    ],
    ['is 10 MB', () => textResult('x'.repeat(10_000_000)), /is not available/],
    [
      'is an event of 10 MB',
      ({ response }) => {
        response.setHeader('content-type', 'text/event-stream');
        response.end(`data: ${'x'.repeat(10_000_000)}\n\n`);
      },
      /is not available/,
    ],
    [
      'breaks off with the connection',
      ({ response }) => {
        response.setHeader('content-type', 'text/event-stream');
        response.write('data: {"json');
        setImmediate(() => response.destroy());
      },
      /is not available/,
    ],
    [
      'ends without a result',
      ({ response }) => {
        response.setHeader('content-type', 'text/event-stream');
        response.end(': nothing\n\n');
      },
      /is not available/,
    ],
    ['is status 500', ({ response }) => void response.writeHead(500).end('stack'), /is not avail/],
  ])('that %s fails the call at once, not the run', async (_what, run, expected) => {
    const { server } = await setUpMcpServer({ tools: [{ name: 'get', run }, ECHO] });
    await server.prepare();

    const failed = await outputOf(server, 'get', { timeoutMs: 60_000 });
    const next = await outputOf(server, 'echo');

    expect(failed).toMatchObject({ status: 'failed', output: expect.stringMatching(expected) });
    expect(next.status).toBe('ok');
  });

  it('that never comes ends at the time limit, and the server receives a cancellation', async () => {
    let isClosed = false;
    const run: ScriptedTool['run'] = ({ response }) => {
      response.on('close', () => (isClosed = true));
    };
    const { server, remote } = await setUpMcpServer({ tools: [{ name: 'hang', run }] });
    await server.prepare();

    const { output } = await outputOf(server, 'hang', { timeoutMs: 30 });

    expect(output).toBe('The tool "docs__hang" did not answer within 0.03 s.');
    await vi.waitFor(() => expect(remote.methods).toContain('notifications/cancelled'));
    await vi.waitFor(() => expect(isClosed).toBe(true));
  });

  it('does not suffer from a failed call beside it', async () => {
    const slow: ScriptedTool['run'] = ({ id, response }) => {
      setTimeout(() => {
        response.setHeader('content-type', 'application/json');
        response.end(JSON.stringify({ jsonrpc: '2.0', id, result: textResult('late') }));
      }, 100);
    };
    const broken: ScriptedTool['run'] = ({ response }) => void response.destroy();
    const { server } = await setUpMcpServer({
      tools: [
        { name: 'slow', run: slow },
        { name: 'broken', run: broken },
      ],
    });
    await server.prepare();

    const [late, failed] = await Promise.all([
      outputOf(server, 'slow'),
      outputOf(server, 'broken'),
    ]);

    expect([late.status, failed.status]).toEqual(['ok', 'failed']);
  });
});
