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

/** A node of the syntax tree: a token has text and no children. */
export interface KqlNode {
  readonly kind: string;
  readonly text: string;
  readonly children: readonly KqlNode[];
}

interface SyntaxNode {
  readonly Kind: number;
  readonly Text?: string;
  readonly ChildCount: number;
  GetChild(index: number): SyntaxNode | null;
}

/** The part of the language service that is used here; the package has no types that load alone. */
interface KustoGlobals {
  readonly Kusto: {
    readonly Language: {
      readonly KustoCode: {
        Parse(query: string): { readonly Syntax: SyntaxNode };
        ParseAndAnalyze(query: string, globals: unknown): { GetDiagnostics(): unknown };
      };
      readonly Syntax: { readonly SyntaxKind: unknown };
      readonly GlobalState: { readonly Default: { WithDatabase(database: unknown): unknown } };
      readonly Symbols: {
        readonly TableSymbol: { readonly $ctor7: new (...parts: readonly unknown[]) => unknown };
        readonly DatabaseSymbol: { readonly $ctor2: new (...parts: readonly unknown[]) => unknown };
      };
    };
  };
  readonly System: {
    readonly Enum: { toString(type: unknown, value: number): string };
    readonly Array: {
      getCount(list: unknown): number;
      getItem(list: unknown, index: number): Diagnostic;
    };
  };
}

let loaded: KustoGlobals | undefined;

/** Loads the parser, which takes most of a second. */
function loadParser(): KustoGlobals {
  if (loaded !== undefined) return loaded;
  const require = createRequire(import.meta.url);
  for (const file of ['bridge.min.js', 'Kusto.Language.Bridge.min.js']) {
    runInThisContext(readFileSync(require.resolve(`@kusto/language-service-next/${file}`), 'utf8'));
  }
  loaded = globalThis as unknown as KustoGlobals;
  return loaded;
}

/** The syntax tree of a query. */
export function parseKql(query: string): KqlNode {
  const { Kusto, System } = loadParser();
  const { KustoCode, Syntax } = Kusto.Language;
  function toNode(node: SyntaxNode): KqlNode {
    const children = Array.from({ length: node.ChildCount }, (_, index) => node.GetChild(index));
    return {
      kind: System.Enum.toString(Syntax.SyntaxKind, node.Kind),
      text: node.Text ?? '',
      children: children.filter((child) => child !== null).map(toNode),
    };
  }
  return toNode(KustoCode.Parse(query).Syntax);
}

/** A check against the tables of the workspace. */
export function createKqlCheck(): CheckKql {
  const { Kusto, System } = loadParser();
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
