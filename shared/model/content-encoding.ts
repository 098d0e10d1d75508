import type { IncomingMessage } from 'node:http';
import { type Duplex, PassThrough, pipeline, type Readable } from 'node:stream';
import * as zlib from 'node:zlib';

const DECODERS: Readonly<Record<string, () => Duplex>> = {
  gzip: () => zlib.createGunzip(),
  'x-gzip': () => zlib.createGunzip(),
  br: () => zlib.createBrotliDecompress(),
  zstd: () => zlib.createZstdDecompress(),
};

/**
 * The body without its content encodings. Requests ask for `identity`, but proxies compress anyway.
 * A body in an unknown encoding, and one that cannot be decoded, end with an error.
 */
export function decodeBody(response: IncomingMessage): Readable {
  const encodings = (response.headers['content-encoding'] ?? '')
    .toLowerCase()
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '' && name !== 'identity');
  // The last encoding was applied last.
  return encodings.reduceRight<Readable>(decode, response);
}

function decode(source: Readable, encoding: string): Readable {
  if (encoding === 'deflate') return inflate(source);
  const createDecoder = DECODERS[encoding];
  if (createDecoder === undefined) {
    return source.destroy(new Error('The body has an unknown content encoding'));
  }
  return connect(source, createDecoder());
}

/** Destroying the result destroys the source too, and with it the connection. */
function connect(source: Readable, decoder: Duplex): Duplex {
  pipeline(source, decoder, () => undefined);
  return decoder;
}

/** `deflate` means the zlib format, but some servers send the raw one. The first byte tells. */
function inflate(source: Readable): Readable {
  const output = new PassThrough();
  function endEmpty(): void {
    output.end();
  }
  source.once('end', endEmpty);
  source.once('error', (error) => output.destroy(error));
  source.once('data', (first: Uint8Array) => {
    source.pause();
    source.off('end', endEmpty);
    source.unshift(first);
    const isZlib = ((first[0] ?? 0) & 0x0f) === 8;
    connect(connect(source, isZlib ? zlib.createInflate() : zlib.createInflateRaw()), output);
  });
  output.once('close', () => source.destroy());
  return output;
}
