/** A name of agent.toml as the code writes it: `max_request_bytes` is `maxRequestBytes`. */
export type CamelName<Name extends string> = Name extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<CamelName<Tail>>}`
  : Name;

/** The same tree with the names of the code; only plain tables are walked. */
export type CamelKeys<Tree> = Tree extends readonly unknown[]
  ? Tree
  : Tree extends object
    ? { readonly [Key in keyof Tree & string as CamelName<Key>]: CamelKeys<Tree[Key]> }
    : Tree;

export function toCamelName(name: string): string {
  return name.replaceAll(/_([a-z0-9])/g, (_match, letter: string) => letter.toUpperCase());
}
