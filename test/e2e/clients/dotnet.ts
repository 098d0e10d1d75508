import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { requireTool } from '../../support/required-tools.ts';
import type { ClientEnvironment } from './client-environment.ts';
import { exhaustLimit } from './typed-errors.ts';

const run = promisify(execFile);
const ARTIFACTS = resolve('node_modules/.cache/dotnet');
/** The first build fetches the packages. */
const BUILD_TIMEOUT_MS = 240_000;
const PROGRAM = `${ARTIFACTS}/bin/AgentClients/debug/AgentClients.dll`;
const SAMPLES = [
  'extensions-ai',
  'semantic-kernel',
  'agent-framework',
  'azure-openai',
  'azure-extensions-ai',
];
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

    it.each(SAMPLES)(
      'answer, stream, tools, second turn, structured output: all work in the sample %s',
      async (sample) => {
        const lines = await runSample(service(), [sample]);

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

    it.each(SAMPLES)('errors: have their status and the code in the sample %s', async (sample) => {
      await exhaustLimit(service());

      const lines = await runSample(service(), ['errors', sample]);

      expect([...lines.values()]).toEqual([
        'wrong key: 401 unauthorized',
        'wrong request: 400 invalid_request',
        'limit reached: 429 rate_limited',
        'no quota: 503 upstream_quota',
        // These clients ignore an error within a stream, but not that its end is missing.
        'cut stream: the answer broke off',
      ]);
    });

    it('sends a batch by queue, and reads its results', async () => {
      const lines = await runSample(service(), ['queue-producer']);

      expect(lines.get('completed')).toBe('completed: 3 of 3');
      expect([...lines.keys()].filter((line) => line.includes('batch_req_dotnet')).length).toBe(3);
    });
  });
}

/** The lines that a sample prints, by the word before their colon. */
async function runSample(
  { baseURL, apiKey, limitedKey, headers, storage }: ClientEnvironment,
  args: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const env = {
    ...process.env,
    AGENT_URL: baseURL,
    AGENT_CALLER_KEY: apiKey,
    AGENT_LIMITED_KEY: limitedKey,
    AGENT_FUNCTION_KEY: headers['x-functions-key'],
    AGENT_OWNER: 'key:clients',
    AzureWebJobsStorage: storage,
  };
  const { stdout } = await run('dotnet', [PROGRAM, ...args], { env });
  const lines = stdout.trim().split('\n');
  return new Map(lines.map((line) => [line.split(': ')[0] ?? '', line]));
}
