import { posix } from 'node:path';
import type { Node } from 'oxc-parser';
import { readStaticString, visitNodes, type ParsedFile } from './syntax.ts';

/** One dependency of a file on another file or on a package. */
export interface Import {
  /** Undefined where the path is computed, so that it cannot be known without running the code. */
  readonly specifier: string | undefined;
  /** The path from the root of the imported file; undefined for packages. */
  readonly target: string | undefined;
  /** `export ... from` counts as static; `lazy` is import(); `require` is every CommonJS form. */
  readonly kind: 'static' | 'lazy' | 'type' | 'require';
  /** Imported names; `*` for the namespace, `default` for the default export. */
  readonly names: readonly string[];
}

/** Every import of a file in the order of the text, type-only ones included. */
export function readImports(file: ParsedFile): Import[] {
  const imports: Import[] = [];
  visitNodes(file.program, (node, ancestors) => {
    const found = importOf(node, ancestors);
    if (found === undefined) return;
    const specifier = readStaticString(found.source);
    const isRelative = specifier?.startsWith('.') === true;
    const target = isRelative ? posix.join(posix.dirname(file.path), specifier) : undefined;
    imports.push({ specifier, target, kind: found.kind, names: found.names });
  });
  return imports;
}

interface Found {
  readonly source: Node | null | undefined;
  readonly kind: Import['kind'];
  readonly names: readonly string[];
}

function importOf(node: Node, ancestors: readonly Node[]): Found | undefined {
  switch (node.type) {
    case 'ImportDeclaration':
      return {
        source: node.source,
        kind: node.importKind === 'type' ? 'type' : 'static',
        names: node.specifiers.map(nameOfSpecifier),
      };
    case 'ExportAllDeclaration':
      return { source: node.source, kind: kindOfExport(node.exportKind), names: ['*'] };
    case 'ExportNamedDeclaration':
      if (node.source === null) return undefined;
      return {
        source: node.source,
        kind: kindOfExport(node.exportKind),
        names: node.specifiers.map(nameOfSpecifier),
      };
    case 'TSImportType':
      return { source: node.source, kind: 'type', names: [] };
    case 'ImportExpression':
      return { source: node.source, kind: 'lazy', names: ['*'] };
    case 'TSExternalModuleReference':
      return { source: node.expression, kind: 'require', names: ['*'] };
    default:
      return requireOf(node, ancestors);
  }
}

/** `require(...)`, `createRequire(...)` and `import.meta.resolve(...)` all reach other modules. */
function requireOf(node: Node, ancestors: readonly Node[]): Found | undefined {
  const isReference = node.type === 'Identifier' && /^(?:require|createRequire)$/.test(node.name);
  const isResolve =
    node.type === 'MemberExpression' &&
    node.object.type === 'MetaProperty' &&
    node.property.type === 'Identifier' &&
    node.property.name === 'resolve';
  const parent = ancestors.at(-1);
  if (isReference && isPropertyName(node, parent)) return undefined;
  if (!isReference && !isResolve) return undefined;
  const source = parent?.type === 'CallExpression' ? parent.arguments[0] : undefined;
  return { source, kind: 'require', names: ['*'] };
}

/** Whether an identifier only names a property (`a.name`, `{ name: 1 }`) and is no reference. */
export function isPropertyName(node: Node, parent: Node | undefined): boolean {
  switch (parent?.type) {
    case 'MemberExpression':
      return parent.property === node && !parent.computed;
    case 'Property':
    case 'MethodDefinition':
    case 'PropertyDefinition':
    case 'TSPropertySignature':
    case 'TSMethodSignature':
      return parent.key === node && !parent.computed && !isShorthand(parent);
    default:
      return false;
  }
}

function isShorthand(node: Node): boolean {
  return node.type === 'Property' && node.shorthand;
}

function kindOfExport(exportKind: 'type' | 'value' | undefined): Import['kind'] {
  return exportKind === 'type' ? 'type' : 'static';
}

function nameOfSpecifier(specifier: Node): string {
  switch (specifier.type) {
    case 'ImportSpecifier':
      return nameOf(specifier.imported);
    case 'ExportSpecifier':
      return nameOf(specifier.local);
    case 'ImportDefaultSpecifier':
      return 'default';
    default:
      return '*';
  }
}

function nameOf(node: Node): string {
  if (node.type === 'Identifier') return node.name;
  return readStaticString(node) ?? '';
}
