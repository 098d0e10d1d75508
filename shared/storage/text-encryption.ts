import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { ServiceError } from '../errors.ts';

/** Encrypts texts before they are stored. Without keys, texts are stored as they are. */
export interface TextEncryption {
  /**
   * Encrypts a text with the first key. The result is one line. `context` names where the text is
   * stored: the result can be decrypted with the same context only.
   * @throws ServiceError config_unavailable while the keys cannot be read
   */
  seal(text: string, context: string): string;
  /**
   * Decrypts a sealed text with the key that sealed it. Returns any other text unchanged: it was
   * stored while there were no keys.
   * @throws ServiceError config_unavailable if the key is missing, internal if the text was changed
   * or moved
   */
  open(stored: string, context: string): string;
}

interface EncryptionKey {
  readonly id: string;
  readonly bytes: Buffer;
}

const CIPHER = 'aes-256-gcm';
const KEY_BYTES = 32;
/** The length that NIST SP 800-38D recommends for GCM. */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** JSON never begins like this. */
const PREFIX = 'enc.1.';

/**
 * AES-256-GCM with the keys of a list. `read` returns the current list: keys of 32 bytes in base64
 * or hexadecimal, separated by commas. The first one encrypts, the others only decrypt.
 */
export function createTextEncryption({
  read,
}: {
  readonly read: () => string | undefined;
}): TextEncryption {
  let known: { readonly list: string; readonly keys: readonly EncryptionKey[] } | undefined;
  function keys(): readonly EncryptionKey[] {
    const list = read();
    if (list === undefined) return [];
    if (known?.list !== list) known = { list, keys: parseEncryptionKeys(list) };
    return known.keys;
  }
  return {
    seal(text, context) {
      const [key] = keys();
      return key === undefined ? text : encrypt(text, { key, context });
    },
    open(stored, context) {
      if (!stored.startsWith(PREFIX)) return stored;
      const [id = '', data = ''] = stored.slice(PREFIX.length).split('.');
      const key = keys().find((one) => one.id === id);
      if (key === undefined) throw missingKey(id);
      return decrypt(Buffer.from(data, 'base64url'), { key, context });
    },
  };
}

/**
 * The keys of a list.
 * @throws ServiceError config_unavailable if one of them does not have 32 bytes
 */
export function parseEncryptionKeys(list: string): readonly EncryptionKey[] {
  return list.split(',').map((text) => {
    const value = text.trim();
    const bytes = Buffer.from(value, /^[0-9a-f]{64}$/i.test(value) ? 'hex' : 'base64');
    if (bytes.byteLength !== KEY_BYTES) {
      const expected = `keys of ${KEY_BYTES} bytes in base64, separated by commas`;
      throw new ServiceError('config_unavailable', `history-encryption-key must have ${expected}`);
    }
    return { id: createHash('sha256').update(bytes).digest('hex').slice(0, 12), bytes };
  });
}

interface KeyUse {
  readonly key: EncryptionKey;
  readonly context: string;
}

function encrypt(text: string, { key, context }: KeyUse): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key.bytes, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.from(context));
  const data = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final()]);
  const sealed = Buffer.concat([data, cipher.getAuthTag()]);
  return `${PREFIX}${key.id}.${sealed.toString('base64url')}`;
}

function decrypt(sealed: Buffer, { key, context }: KeyUse): string {
  try {
    const nonce = sealed.subarray(0, NONCE_BYTES);
    const decipher = createDecipheriv(CIPHER, key.bytes, nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(Buffer.from(context));
    decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
    const text = decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES));
    return Buffer.concat([text, decipher.final()]).toString('utf8');
  } catch (cause) {
    throw new ServiceError('internal', 'Cannot read stored data: it is not as it was written', {
      cause,
    });
  }
}

function missingKey(id: string): ServiceError {
  return new ServiceError(
    'config_unavailable',
    `Cannot read stored data: history-encryption-key must still list the key ${/^[0-9a-f]{12}$/.test(id) ? id : ''} that encrypted it`,
  );
}
