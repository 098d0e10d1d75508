import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  startDevelopmentModel,
  type DevelopmentModel,
} from '../../dev/model/start-development-model.ts';
import { createService, type Service } from '../../shared/composition-root.ts';
import { runContext } from '../support/agent/scripted-tools.ts';
import {
  type ScriptedMcpServer,
  startScriptedMcpServer,
} from '../support/mcp/scripted-mcp-server.ts';
import { inputOf } from '../support/scripted-model.ts';

let model: DevelopmentModel | undefined;
let remote: ScriptedMcpServer | undefined;
let service: Service | undefined;
afterEach(async () => {
  await service?.close();
  await model?.stop();
  await remote?.stop();
});

async function setUp(key: string) {
  model = await startDevelopmentModel({ tokenDelayMs: 0, scale: 0.001 });
  remote = await startScriptedMcpServer([{ name: 'echo' }, { name: 'calculator' }]);
  remote.requireAuthorization('Bearer key-canary');
  const lines: string[] = [];
  service = await createService(
    { OPENAI_BASE_URL: model.url, OPENAI_API_KEY: 'key', DOCS_MCP_KEY: key },
    {
      agentToml: `
        [tools]
        enabled = ["calculator"]
        [tools.mcp.docs]
        url = "${remote.url}"
        tools = ["echo", "calculator"]
        auth_secret = "docs-mcp-key"`,
      writeLog: (line) => void lines.push(line),
    },
  );
  return { service, model, remote, lines };
}

describe('an MCP server of agent.toml', () => {
  it('is not contacted before a run, gets its secret, and is closed with the service', async () => {
    const { service, remote } = await setUp('key-canary');
    await service.readiness.report();
    const before = [...remote.methods];

    const result = await service.agent.run(inputOf('docs__echo {"a": 1}'), runContext());
    const { tools } = await service.readiness.report();
    await service.close();

    expect(before).toEqual([]);
    expect(result.toolCalls).toMatchObject([{ name: 'docs__echo', status: 'ok' }]);
    expect(tools).toEqual({ status: 'ready' });
    await vi.waitFor(() => expect(remote.streams()).toBe(0));
  });

  it('cannot take the name of an own tool', async () => {
    const { service, model } = await setUp('key-canary');

    await service.agent.run(inputOf('Hello'), runContext());

    const names = JSON.stringify(model.calls()[0]?.body).match(/"name":"\w+"/g);
    expect(names).toEqual([
      '"name":"calculator"',
      '"name":"docs__echo"',
      '"name":"docs__calculator"',
    ]);
  });

  it('that refuses its secret leaves the run without tools, and the log without the secret', async () => {
    const { service, model, lines } = await setUp('wrong-canary');

    const result = await service.agent.run(inputOf('Hello'), runContext());

    const { tools, chat } = await service.readiness.report();
    const log = lines.join('\n');
    expect(result.text).toContain('Hello');
    expect(JSON.stringify(model.calls()[0]?.body)).not.toContain('docs__');
    expect([chat.status, tools?.status]).toEqual(['ready', 'degraded']);
    expect(log).toContain('it refuses the credential');
    expect(log).not.toContain('canary');
  });
});
