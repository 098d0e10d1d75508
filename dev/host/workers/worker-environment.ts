/** What a process needs of this machine; everything else of this shell stays here. */
const BASICS = [
  'PATH',
  'HOME',
  'TMPDIR',
  'TEMP',
  'TMP',
  'LANG',
  'LC_ALL',
  'TZ',
  'SystemRoot',
  'USERPROFILE',
];

/** The whole environment of the worker: the settings of the app and the basics of a process. */
export function workerEnvironment(
  settings: Readonly<Record<string, string>>,
  own: NodeJS.ProcessEnv = process.env,
): Record<string, string> {
  const basics = BASICS.flatMap((name) => {
    const value = own[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return { ...Object.fromEntries(basics), ...settings };
}
