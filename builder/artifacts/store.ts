// The content-addressed store: `sha256/<first two digits>/<digest>`, shared by all builds of a person.
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Failure } from '../../formats/errors.ts';
import type { Pin, Sha256 } from './sha256.ts';

/** Where the store is: `$EDGEKILN_STORE`, else `$XDG_CACHE_HOME/edgekiln`, else `~/.cache/edgekiln`. */
export function storeFolder(environment: NodeJS.ProcessEnv = process.env): string {
  const { EDGEKILN_STORE: own, XDG_CACHE_HOME: cache } = environment;
  if (own) return own;
  return join(cache || join(homedir(), '.cache'), 'edgekiln');
}

/**
 * Files named by their digest. Any number of processes may use one store at a time: a file appears whole, by a rename
 * of a synced temporary file, and is never changed afterwards.
 *
 * A file of the store is read and compared with its name once in each process, before its first use; later uses look
 * at size and times only. What does not match its name is removed and counts as absent.
 */
export class Store {
  readonly root: string;
  /** Files found good by this process, by digest: the state they were in. */
  readonly #known = new Map<Sha256, string>();

  constructor(root: string = storeFolder()) {
    this.root = root;
  }

  /** Where the bytes of this digest are or would be. */
  pathOf(sha256: Sha256): string {
    return join(this.root, 'sha256', sha256.slice(0, 2), sha256);
  }

  /** Folder for files that are on their way in, on the same filesystem as the store. */
  async incoming(): Promise<string> {
    const folder = join(this.root, 'incoming');
    await mkdir(folder, { recursive: true }).catch((error) => {
      throw unwritable(folder, error);
    });
    return folder;
  }

  /** The path of a file that is there and whole, else undefined. */
  async find(sha256: Sha256): Promise<string | undefined> {
    const path = this.pathOf(sha256);
    const state = await stateOf(path);
    if (state === undefined) return undefined;
    if (this.#known.get(sha256) === state) return path;
    if ((await digestOf(path)).sha256 !== sha256) {
      await rm(path, { force: true });
      return undefined;
    }
    this.#known.set(sha256, state);
    return path;
  }

  /** Whether a file of this size is there. Nothing is read: whoever uses it compares it with its name. */
  async seems(sha256: Sha256, size: number): Promise<boolean> {
    const found = await stat(this.pathOf(sha256)).catch(() => undefined);
    return found?.size === size;
  }

  /** The path of a file that must be there. `name` is what people call it. */
  async need(sha256: Sha256, name: string): Promise<string> {
    const path = await this.find(sha256);
    if (path !== undefined) return path;
    throw new Failure('dependency', {
      what: `${name} is not in the store`,
      where: this.root,
      why: `no whole file with sha256 ${sha256}`,
      fix: 'edgekiln artifacts fetch PROFILE, or edgekiln artifacts import PROFILE DIR',
    });
  }

  /** Takes the bytes of a stream. With `expected`, anything else than these bytes is refused and nothing is kept. */
  async put(source: Readable | Uint8Array, expected?: Sha256): Promise<Pin> {
    const temporary = join(await this.incoming(), `${randomUUID()}.tmp`);
    const readable = source instanceof Uint8Array ? Readable.from([source]) : source;
    try {
      await pipeline(readable, createWriteStream(temporary, { flags: 'wx' }));
      return await this.adopt(temporary, expected);
    } catch (error) {
      throwIfOfDisk(error, temporary);
      throw error;
    } finally {
      await rm(temporary, { force: true });
    }
  }

  /**
   * Moves a file that is in `incoming()` into the store. It is digested as it lies on the disk; with `expected`, any
   * other content is an I/O failure, and the file is removed.
   */
  async adopt(file: string, expected?: Sha256): Promise<Pin> {
    const pin = await digestOf(file);
    if (expected !== undefined && pin.sha256 !== expected) {
      await rm(file, { force: true });
      throw new Failure('io', {
        what: 'a file does not have the content it should have',
        where: file,
        why: `expected sha256 ${expected}, got ${pin.sha256} (${pin.size} bytes)`,
        fix: 'bring it anew, and look at who gives it',
      });
    }
    await this.place(file, pin);
    return pin;
  }

  /** Moves a file that is in `incoming()` and was digested by the caller just now. */
  async place(file: string, { sha256 }: Pin): Promise<void> {
    const path = this.pathOf(sha256);
    try {
      await mkdir(dirname(path), { recursive: true });
      const handle = await open(file, 'r');
      await handle.chmod(0o444);
      await handle.sync().finally(() => handle.close());
      await rename(file, path);
      await syncFolder(dirname(path));
    } catch (error) {
      throw unwritable(path, error);
    }
    const state = await stateOf(path);
    if (state !== undefined) this.#known.set(sha256, state);
  }
}

/** SHA-256 and size of a file, read in one pass. */
export async function digestOf(file: string): Promise<Pin> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) {
    hash.update(chunk);
    size += chunk.length;
  }
  return { sha256: hash.digest('hex') as Sha256, size };
}

async function stateOf(path: string): Promise<string | undefined> {
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  return found === undefined ? undefined : `${found.ino} ${found.size} ${found.mtimeNs} ${found.ctimeNs}`;
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  await handle.sync().finally(() => handle.close());
}

/** Errors that are of the disk under the store, whoever meets them. */
const ofTheDisk = new Set(['ENOSPC', 'EDQUOT', 'EFBIG', 'EIO', 'EROFS', 'EACCES', 'EPERM']);

/** Throws an error as one of the store where it is of the disk, else leaves it to the caller. */
export function throwIfOfDisk(error: unknown, where: string): void {
  if (error instanceof Error && 'code' in error && ofTheDisk.has(String(error.code)))
    throw unwritable(where, error);
}

/** The failure of a store that cannot take what it is given. */
export function unwritable(where: string, error: unknown): Failure {
  return new Failure(
    'io',
    {
      what: 'the store cannot be written',
      where,
      why: error instanceof Error ? error.message : String(error),
      fix: 'make room or give a writable folder: EDGEKILN_STORE=DIR edgekiln …',
    },
    error,
  );
}
