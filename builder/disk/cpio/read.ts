// Reads a cpio archive in the "newc" form from a file: what `planCpio` wrote, and others that are not compressed.
import { type Entry, type EntrySource, nameFromBytes } from '../../tree/entry.ts';
import { Image } from '../image.ts';
import { headerSize, kinds, padded, trailer } from './plan.ts';

const longestName = 4096;

/** Opens an archive that starts at byte `offset` of a file. */
export function openCpio(file: string, offset = 0): CpioReader {
  return new CpioReader(new Image(file, offset));
}

interface Member {
  readonly path: string;
  readonly fields: readonly number[];
  /** Where its bytes are. */
  readonly body: number;
}

/** Refuses with Failure('unsupported' or 'io', …) what is no archive, when it gets there. */
class CpioReader implements EntrySource {
  readonly #image: Image;

  constructor(image: Image) {
    this.#image = image;
  }

  close(): void {
    this.#image.close();
  }

  /** All entries in the archive's order; a link comes after the name that has the bytes in the entry. */
  *entries(): Generator<Entry> {
    const bodies = new Map<number, Member>();
    for (const member of this.#members()) {
      const [inode = 0, , , , links = 1, , size = 0] = member.fields;
      if (links > 1 && size > 0) bodies.set(inode, member);
    }
    const first = new Map<number, string>();
    for (const member of this.#members()) yield this.#entry(member, bodies, first);
  }

  /** The entry at a path; undefined if there is none. */
  stat(path: string): Entry | undefined {
    for (const entry of this.entries()) if (entry.path === path) return entry;
    return undefined;
  }

  /** Up to `length` bytes of a file, by path or entry, from `start` on. */
  read(file: string | Entry, start = 0, length = Number.POSITIVE_INFINITY): Buffer {
    const entry = typeof file === 'string' ? this.stat(file) : file;
    if (entry?.kind === 'hardlink') return this.read(entry.target, start, length);
    if (entry?.kind !== 'file') throw this.#image.refusal('it cannot be read', 'it is not a file');
    return this.#image.content(entry, start, length);
  }

  *#members(): Generator<Member> {
    for (let at = 0; ; ) {
      const head = this.#image.read(at, headerSize).toString('latin1');
      if (!/^070701[0-9a-fA-F]{104}$/.test(head))
        throw this.#image.refusal('not a cpio archive that can be read', `there is no header at byte ${at}`);
      const fields = Array.from({ length: 13 }, (_, i) =>
        Number.parseInt(head.slice(6 + 8 * i, 14 + 8 * i), 16),
      );
      const [length = 0, size = 0] = [fields[11], fields[6]];
      if (length < 1 || length > longestName)
        throw this.#image.refusal('not a cpio archive that can be read', `a name has ${length} bytes`);
      const path = nameFromBytes(this.#image.read(at + headerSize, length - 1));
      if (path === trailer) return;
      const body = at + padded(headerSize + length);
      yield { path, fields, body };
      at = body + padded(size);
    }
  }

  #entry(
    { path: name, fields, body }: Member,
    bodies: ReadonlyMap<number, Member>,
    first: Map<number, string>,
  ): Entry {
    const [inode = 0, bits = 0, uid = 0, gid = 0, links = 1, mtime = 0, length = 0] = fields;
    const path = name === '.' ? '' : name.replace(/^\.?\//, '');
    const common = { path, mode: bits & 0o7777, uid, gid, mtime };
    const kind = kinds.get(bits & 0o170000);
    if (kind === undefined) throw this.#image.refusal(`/${path} cannot be read`, 'its type is not known');
    switch (kind) {
      case 'symlink':
        return { ...common, kind, target: nameFromBytes(this.#image.read(body, length)) };
      case 'char':
      case 'block':
        return { ...common, kind, major: fields[9] ?? 0, minor: fields[10] ?? 0 };
      case 'file': {
        const target = links > 1 ? first.get(inode) : undefined;
        if (target !== undefined) return { ...common, kind: 'hardlink', target };
        if (links > 1) first.set(inode, path);
        const member = bodies.get(inode);
        const [size, at] =
          links > 1 && member !== undefined ? [member.fields[6] ?? 0, member.body] : [length, body];
        const { file, offset } = this.#image;
        const bytes = { at: 'file', file, offset: offset + at, length: size } as const;
        return { ...common, kind, size, segments: size === 0 ? [] : [{ offset: 0, bytes }] };
      }
      default:
        return { ...common, kind };
    }
  }
}
