import { execFile } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { ClientEnvironment } from './client-environment.ts';

const run = promisify(execFile);
const ANSWER = 'You said: Hello there';
/** What each sample of examples/typescript prints, by the word before the colon. */
const EXPECTED: Readonly<Record<string, string>> = {
  answer: ANSWER,
  stream: ANSWER,
  tools: 'The tool answered: sunny in Bonn',
  'second turn': 'You said: ',
  error: '',
};
const SAMPLES = globSync('examples/typescript/*.ts')
  .map((path) => basename(path, '.ts'))
  .filter((name) => name !== 'connection')
  .toSorted();

function environmentOf({ baseURL, apiKey, headers }: ClientEnvironment): NodeJS.ProcessEnv {
  return {
    ...process.env,
    AGENT_URL: baseURL.replace(/\/v1$/, ''),
    AGENT_CALLER_KEY: apiKey,
    AGENT_FUNCTION_KEY: headers['x-functions-key'],
  };
}

/** Every sample that Node or a shell runs. */
export function testExamples(service: () => ClientEnvironment): void {
  describe('examples', () => {
    it.each(SAMPLES)('typescript/%s.ts prints an answer, a stream and an error', async (name) => {
      const env = environmentOf(service());

      const { stdout } = await run(process.execPath, [`examples/typescript/${name}.ts`], { env });

      const lines = stdout.trim().split('\n');
      const printed = lines.map((line) => line.split(': ')[0] ?? '');
      expect(printed).toEqual(Object.keys(EXPECTED).filter((key) => printed.includes(key)));
      expect(printed).toEqual(expect.arrayContaining(['answer', 'stream', 'second turn', 'error']));
      for (const [index, line] of lines.entries()) {
        expect(line).toContain(EXPECTED[printed[index] ?? '']);
      }
      expect(lines.at(-1)).toMatch(/400|invalid_request/);
    });

    it('curl/chat.sh prints an answer, its second turn, a stream and an error', async () => {
      const { stdout } = await run('examples/curl/chat.sh', [], { env: environmentOf(service()) });

      expect(stdout).toMatch(/^answer:\n\{"response":"[^"]*You said: Hello there"/);
      expect(stdout).toMatch(/second turn[^\n]*\n\{"response":"[^"]*And now\?"/);
      expect(stdout).toContain('event: done');
      expect(stdout.trim()).toMatch(/status 400$/);
    });

    it('are all named in their guide, with those of Python', () => {
      const guide = readFileSync('examples/README.md', 'utf8');

      const files = globSync('examples/*/*.{ts,sh,cs,csproj}');
      expect(files.filter((path) => !guide.includes(`(${path.replace('examples/', '')})`))).toEqual(
        ['examples/dotnet/AgentClients.csproj'],
      );
      expect(guide).toContain('from openai import OpenAI');
    });
  });
}
