import { createMcpServer } from '../../../shared/agent/mcp/mcp-server.ts';
import { systemClock } from '../../../shared/clock.ts';
import { noopTelemetry } from '../../../shared/telemetry/create-telemetry.ts';

/**
 * The agent's side of a client scenario of the conformance suite: connects to the server that the
 * last argument names, and calls its tool.
 */
const CALLS: Readonly<Record<string, readonly [tool: string, input: unknown]>> = {
  tools_call: ['add_numbers', { a: 5, b: 3 }],
  'sse-retry': ['test_reconnection', {}],
};

const [tool, input] = CALLS[process.env['MCP_CONFORMANCE_SCENARIO'] ?? ''] ?? ['none', {}];
const server = createMcpServer({
  name: 'suite',
  url: process.argv.at(-1) ?? '',
  tools: [{ name: tool, exposedAs: `suite__${tool}`, effect: 'none' }],
  credential: () => 'none',
  refreshCredential: async () => false,
  connectTimeoutMs: 10_000,
  clock: systemClock,
  telemetry: noopTelemetry,
});
await server.prepare();
const signal = AbortSignal.timeout(20_000);
for (const remote of server.tools()) {
  await remote.call(input, { signal, traceparent: undefined, telemetry: noopTelemetry });
}
await server.close();
if (!server.isAvailable()) process.exitCode = 1;
