/** A closed list of strings; one kind of literal; a list of something; or an object. */
export type Shape =
  | readonly string[]
  | 'string'
  | 'int'
  | 'bool'
  | 'object'
  | 'any'
  | { readonly each: Shape }
  | ObjectShape;

/** By property; a name that ends in `!` must be there. */
export interface ObjectShape {
  readonly [name: string]: Shape;
}
