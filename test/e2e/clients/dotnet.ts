import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { requireTool } from '../../support/required-tools.ts';
import type { ClientEnvironment } from './client-environment.ts';

const run = promisify(execFile);
const ARTIFACTS = resolve('node_modules/.cache/dotnet');
/** The first build fetches the packages. */
const BUILD_TIMEOUT_MS = 240_000;
const PROGRAM = `${ARTIFACTS}/bin/AgentClients/debug/AgentClients.dll`;
const WEATHER = /sunny in Bonn\W+sunny in Ulm/;

/** The samples of examples/dotnet, built once. */
export function testDotnet(service: () => ClientEnvironment): void {
  describe('examples/dotnet', requireTool('dotnet'), () => {
    beforeAll(async () => {
      // Without build servers no process stays behind.
      const options = ['--artifacts-path', ARTIFACTS, '--disable-build-servers', '--nologo'];
      await run('dotnet', ['build', 'examples/dotnet', ...options], {
        env: { ...process.env, DOTNET_CLI_TELEMETRY_OPTOUT: '1' },
      });
    }, BUILD_TIMEOUT_MS);

    it.each(['extensions-ai', 'semantic-kernel', 'agent-framework'])(
      'answer, stream, tools, second turn, structured output: all work in the sample %s',
      async (sample) => {
        const { baseURL, apiKey, headers } = service();
        const env = {
          ...process.env,
          AGENT_URL: baseURL,
          AGENT_CALLER_KEY: apiKey,
          AGENT_FUNCTION_KEY: headers['x-functions-key'],
        };

        const { stdout } = await run('dotnet', [PROGRAM, sample], { env });

        const lines = new Map(
          stdout
            .trim()
            .split('\n')
            .map((line) => [line.split(': ')[0], line]),
        );
        expect([...lines.keys()]).toEqual([
          'answer',
          'stream',
          'tools',
          'second turn',
          'structured output',
        ]);
        expect(lines.get('answer')).toContain('You said: Hello there');
        expect(lines.get('stream')).toMatch(/You said: Hello there \(\d\d pieces\)/);
        expect(lines.get('tools')).toMatch(WEATHER);
        expect(lines.get('second turn')).toContain('You said: And now?');
        expect(lines.get('structured output')).toContain('development model, 0 attendees');
      },
    );
  });
}
