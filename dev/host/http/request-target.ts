/** The target of a request line, as the platform's web server and forwarder see it. */
export interface RequestTarget {
  /** Decoded, dots resolved; an encoded slash stays encoded. Routes are matched against it. */
  readonly path: string;
  /** As sent, with the question mark; empty without one. */
  readonly search: string;
  /** The path as it is forwarded: encoded again, so that an encoded slash is encoded twice. */
  readonly forwardedPath: string;
}

/** Every character of a path that the forwarder encodes. */
const UNSAFE = /[^A-Za-z0-9\-._~!$&'()*+,;=:@/]/gu;
const PLAIN = /^[A-Za-z0-9\-_~!$&'()*+,;=:@/]*$/;
const ORIGIN = /^https?:\/\/[^/?#]*/i;

/** Reads the target of a request; undefined when the platform's web server would answer 400. */
export function readRequestTarget(url: string): RequestTarget | undefined {
  const target = url.startsWith('/') ? url : url.replace(ORIGIN, '');
  if (target !== '' && !/^[/?]/.test(target)) return undefined;
  const mark = target.indexOf('?');
  const rawPath = mark < 0 ? target : target.slice(0, mark);
  const search = mark < 0 ? '' : target.slice(mark);
  if (PLAIN.test(rawPath)) {
    const path = rawPath === '' ? '/' : rawPath;
    return { path, search, forwardedPath: path };
  }
  const path = resolveDots(decodePath(rawPath));
  if (!path.startsWith('/') || path.includes('\0')) return undefined;
  return { path, search, forwardedPath: path.replace(UNSAFE, encodeURIComponent) };
}

/** The parameters of a query in their order; repeated names stay repeated. */
export function readQuery(search: string): URLSearchParams {
  return new URLSearchParams(search);
}

function decodePath(path: string): string {
  return path.replace(/(?:%[0-9a-f]{2})+/gi, (run) =>
    run
      .split(/(%2f)/i)
      .map((part) => (part.toLowerCase() === '%2f' ? part : decodeRun(part)))
      .join(''),
  );
}

function decodeRun(run: string): string {
  try {
    return decodeURIComponent(run);
  } catch {
    return run;
  }
}

function resolveDots(path: string): string {
  if (!path.includes('/.')) return path;
  const kept: string[] = [];
  const segments = path.split('/');
  for (const segment of segments) {
    if (segment === '..') {
      if (kept.length > 1) kept.pop();
    } else if (segment !== '.') kept.push(segment);
  }
  if (/^\.{1,2}$/.test(segments.at(-1) ?? '')) kept.push('');
  return kept.join('/');
}
