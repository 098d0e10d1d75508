import { violations } from './violations.ts';

/** What a file breaks by itself, whose text ends with what is planted in it. */
export function planted(path: string, text: string): string[] {
  return violations([{ path, text: `${text}\n` }]);
}

/** A trigger that breaks no rule, with something planted in it. */
export function plantedTrigger(text: string): string[] {
  return planted('functions/x.ts', `import { app } from '@azure/functions';\n${text}`);
}
