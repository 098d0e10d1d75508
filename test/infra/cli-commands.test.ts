import { describe, expect, it } from 'vitest';
import { commandProblems, commandsIn, listCommands, USAGES } from './support/cli-commands.ts';

describe('the commands of hooks, workflows and documents', () => {
  it('exist with the options that they have', () => {
    const commands = listCommands();

    expect(commands.flatMap(commandProblems)).toEqual([]);
    expect(commands.length).toBeGreaterThan(80);
  });

  it('are all those of the table', () => {
    const texts = listCommands().map(({ text }) => text);

    const unused = Object.keys(USAGES).filter(
      (name) => !texts.some((text) => text.startsWith(name)),
    );

    expect(unused).toEqual([]);
  });

  it.each([
    ['`az functionapp key list -g RG -n APP`', 'unknown command'],
    ['`az functionapp keys list -g RG`', 'needs --name'],
    ['`az keyvault recover --vault-name KV`', 'has no option --vault-name'],
    ['```sh\nazd env refresh \\\n  --force\n```', 'has no option --force'],
    ['`azd env set A "$(az afd profile show -g RG --query id)"`', 'needs --profile-name'],
  ])('are refused with a planted mistake: %s', (text, problem) => {
    const problems = commandsIn('docs/x.md', text).flatMap(commandProblems);

    expect(problems.join('\n')).toContain(problem);
  });
});
