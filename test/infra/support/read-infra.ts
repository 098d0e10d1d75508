import { globSync, readFileSync } from 'node:fs';
import { createBicepParser, type BicepFile } from './bicep-tree.ts';

export interface Infra {
  readonly main: BicepFile;
  readonly modules: readonly BicepFile[];
  readonly all: readonly BicepFile[];
  /** A file of the deployment with one piece of text replaced; the piece must be there. */
  planted(path: string, edit: { readonly from: string; readonly to: string }): BicepFile;
}

/** The deployment as it stands in the repository. */
export async function readInfra(): Promise<Infra> {
  const parse = await createBicepParser();
  const read = (path: string): BicepFile => parse(path, readFileSync(path, 'utf8'));
  const main = read('infra/main.bicep');
  const modules = globSync('infra/modules/*.bicep').toSorted().map(read);
  return {
    main,
    modules,
    all: [main, ...modules],
    planted(path, { from, to }) {
      const text = readFileSync(path, 'utf8');
      if (!text.includes(from)) throw new Error(`${path} does not hold ${from}`);
      return parse(path, text.replace(from, to));
    },
  };
}
