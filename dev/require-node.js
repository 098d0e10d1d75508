// Plain JavaScript: it also runs on versions that cannot run the scripts themselves.
const MAJOR = 24;
const MINOR = 5;

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < MAJOR || (major === MAJOR && minor < MINOR)) {
  process.stderr.write(
    `Cannot run on Node ${process.versions.node}: it must be ${MAJOR}.${MINOR} or newer. On Linux, Windows and macOS with an Intel processor "npm ci" installs it; elsewhere install it from https://nodejs.org.\n`,
  );
  process.exit(1);
}
