import * as z from 'zod';
import type { BlobContainer, BlobMetadata } from '../../storage/blob-container.ts';
import { ownerHash } from './blob-paths.ts';

/** A file as the list of its owner describes it. */
export interface IndexedFile {
  readonly id: string;
  readonly bytes: number;
  /** Epoch milliseconds. */
  readonly createdAt: number;
  readonly filename: string;
  readonly purpose: 'batch' | 'batch_output';
  /** Epoch milliseconds; undefined if only the retention rule deletes it. */
  readonly expiresAt: number | undefined;
  /** Lines that are not blank; undefined for results. */
  readonly items?: number | undefined;
}

export interface FilePage {
  readonly after: string | undefined;
  readonly limit: number;
  readonly order: 'asc' | 'desc';
  readonly purpose: string | undefined;
}

const LAST_TIME = 9_999_999_999_999;
const TIME_DIGITS = 13;
const EXPIRING = '_expiring/';

/** The newest file sorts first. */
function entryName(owner: string, { id, createdAt }: Pick<IndexedFile, 'id' | 'createdAt'>) {
  return `${listPrefix(owner)}${padded(LAST_TIME - createdAt)}-${id}`;
}

function listPrefix(owner: string): string {
  return `_files/${ownerHash(owner)}/`;
}

/** The file that expires first sorts first. */
function expiryName({ id, expiresAt = LAST_TIME }: Pick<IndexedFile, 'id' | 'expiresAt'>): string {
  return `${EXPIRING}${padded(expiresAt)}-${id}`;
}

function padded(ms: number): string {
  return String(ms).padStart(TIME_DIGITS, '0');
}

/** Metadata is sent in headers, which hold ASCII only. */
export function encodeFilename(filename: string): string {
  return Buffer.from(filename.slice(0, 512).toWellFormed(), 'utf8').toString('base64url');
}

export function decodeFilename(metadata: BlobMetadata): string {
  return Buffer.from(metadata['filename'] ?? '', 'base64url').toString('utf8');
}

/** The time in the metadata of a file after which it does not exist. */
export function expiryOf(metadata: BlobMetadata | undefined): number | undefined {
  const text = metadata?.['expires'];
  return text === undefined ? undefined : Number(text);
}

export function expiryMetadata(expiresAt: number | undefined): BlobMetadata {
  return expiresAt === undefined ? {} : { expires: String(expiresAt) };
}

/** Adds a complete file to the list of its owner. */
export async function addToFileIndex(
  container: BlobContainer,
  { owner, file }: { readonly owner: string; readonly file: IndexedFile },
): Promise<void> {
  const { bytes, createdAt, filename, purpose, expiresAt } = file;
  // First, so that a process that ends here leaves no file that never expires.
  if (expiresAt !== undefined) {
    const metadata = { owner, created: String(createdAt) };
    await container.create(expiryName(file), { content: '', metadata });
  }
  const metadata = {
    bytes: String(bytes),
    created: String(createdAt),
    filename: encodeFilename(filename),
    purpose,
    ...expiryMetadata(expiresAt),
  };
  await container.create(entryName(owner, file), { content: '', metadata });
}

export async function removeFromFileIndex(
  container: BlobContainer,
  { owner, file }: { readonly owner: string; readonly file: ExpiringFile },
): Promise<void> {
  await container.remove(entryName(owner, file));
  if (file.expiresAt !== undefined) await container.remove(expiryName(file));
}

const entrySchema = z.object({
  bytes: z.coerce.number(),
  created: z.coerce.number(),
  filename: z.string(),
  purpose: z.enum(['batch', 'batch_output']),
  expires: z.coerce.number().optional(),
});

/** Bytes of all files of an owner. */
export async function storedBytes(container: BlobContainer, owner: string): Promise<number> {
  let bytes = 0;
  for await (const { metadata } of container.list(listPrefix(owner))) {
    bytes += entrySchema.safeParse(metadata).data?.bytes ?? 0;
  }
  return bytes;
}

/** One page of an owner's files; undefined if the file to continue after is not in the list. */
export async function listFiles(
  container: BlobContainer,
  { owner, page, now }: { readonly owner: string; readonly page: FilePage; readonly now: number },
): Promise<{ readonly files: readonly IndexedFile[]; readonly hasMore: boolean } | undefined> {
  const all: IndexedFile[] = [];
  for await (const { name, metadata } of container.list(listPrefix(owner))) {
    const entry = entrySchema.safeParse(metadata).data;
    if (entry === undefined) continue;
    const { bytes, created: createdAt, purpose, expires: expiresAt } = entry;
    const id = name.slice(listPrefix(owner).length + TIME_DIGITS + 1);
    all.push({ id, bytes, createdAt, filename: decodeFilename(metadata), purpose, expiresAt });
  }
  if (page.order === 'asc') all.reverse();
  const start = page.after === undefined ? 0 : all.findIndex(({ id }) => id === page.after) + 1;
  if (page.after !== undefined && start === 0) return undefined;
  const files = all
    .slice(start)
    .filter(({ purpose, expiresAt = Infinity }) => expiresAt > now && matches(page, purpose));
  return { files: files.slice(0, page.limit), hasMore: files.length > page.limit };
}

function matches(page: FilePage, purpose: string): boolean {
  return page.purpose === undefined || page.purpose === purpose;
}

export type ExpiringFile = Pick<IndexedFile, 'id' | 'createdAt' | 'expiresAt'>;

/** The files whose time has passed, the earliest first, with their owners. */
export async function* expiredFiles(
  container: BlobContainer,
  now: number,
): AsyncGenerator<{ readonly owner: string; readonly file: ExpiringFile }, void, void> {
  for await (const { name, metadata } of container.list(EXPIRING)) {
    const expiresAt = Number(name.slice(EXPIRING.length, EXPIRING.length + TIME_DIGITS));
    if (expiresAt > now) return;
    const id = name.slice(EXPIRING.length + TIME_DIGITS + 1);
    const createdAt = Number(metadata['created']);
    yield { owner: metadata['owner'] ?? '', file: { id, createdAt, expiresAt } };
  }
}
