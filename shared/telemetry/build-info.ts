/** What a build is made of. */
export interface BuildInfo {
  /** The version of package.json with the first 12 digits of the commit: `1.2.0+0123456789ab`. */
  readonly version: string;
  /** The commit; ends with `-dirty` if files differed from it, and is `unknown` without git. */
  readonly commit: string;
  /** The time of the build, in ISO 8601. */
  readonly builtAt: string;
}

/** The build replaces this name by its own value; sources that run unbuilt have none. */
declare const AGENT_BUILD: BuildInfo | undefined;

const UNBUILT: BuildInfo = { version: 'unbuilt', commit: 'unknown', builtAt: 'never' };

/** Which build is running. */
export const buildInfo: BuildInfo = typeof AGENT_BUILD === 'undefined' ? UNBUILT : AGENT_BUILD;
