import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { runInThisContext } from 'node:vm';
import { TABLES } from './log-tables.ts';

/** The diagnostics of a query from Microsoft's parser. */
export type CheckKql = (query: string) => string[];

interface Diagnostic {
  readonly Severity: string;
  readonly Message: string;
}

/** The part of the language service that is used here; the package has no types that load alone. */
interface KustoGlobals {
  readonly Kusto: {
    readonly Language: {
      readonly KustoCode: {
        ParseAndAnalyze(query: string, globals: unknown): { GetDiagnostics(): unknown };
      };
      readonly GlobalState: { readonly Default: { WithDatabase(database: unknown): unknown } };
      readonly Symbols: {
        readonly TableSymbol: { readonly $ctor7: new (...parts: readonly unknown[]) => unknown };
        readonly DatabaseSymbol: { readonly $ctor2: new (...parts: readonly unknown[]) => unknown };
      };
    };
  };
  readonly System: {
    readonly Array: {
      getCount(list: unknown): number;
      getItem(list: unknown, index: number): Diagnostic;
    };
  };
}

/** Loads the parser, which takes most of a second, with the tables of the workspace. */
export function createKqlCheck(): CheckKql {
  const require = createRequire(import.meta.url);
  for (const file of ['bridge.min.js', 'Kusto.Language.Bridge.min.js']) {
    runInThisContext(readFileSync(require.resolve(`@kusto/language-service-next/${file}`), 'utf8'));
  }
  const { Kusto, System } = globalThis as unknown as KustoGlobals;
  const { KustoCode, GlobalState, Symbols } = Kusto.Language;
  const tables = Object.entries(TABLES).map(
    ([name, columns]) => new Symbols.TableSymbol.$ctor7(name, `(${columns})`, null),
  );
  const workspace = GlobalState.Default.WithDatabase(
    new Symbols.DatabaseSymbol.$ctor2('workspace', null, tables),
  );
  return (query) => {
    const found = KustoCode.ParseAndAnalyze(query, workspace).GetDiagnostics();
    return Array.from({ length: System.Array.getCount(found) }, (_, index) =>
      System.Array.getItem(found, index),
    )
      .filter(({ Severity }) => Severity === 'Error')
      .map(({ Message }) => Message);
  };
}
