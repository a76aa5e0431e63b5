// Overlays: folders laid over a base as they are, `.hbs` files rendered on the way. Everything in them belongs to root;
// a file that may be executed here may be executed there, and nothing else of this machine's modes counts.
import { createHash } from 'node:crypto';
import { lstat, readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../../formats/errors.ts';
import type { Entry } from './entry.ts';
import { renderTemplate } from './template.ts';

interface OverlayFile {
  /** Relative to the overlay. */
  readonly path: string;
  readonly kind: 'file' | 'directory' | 'symlink';
  readonly executable: boolean;
}

/** The entries of an overlay folder; templates are rendered with `data`. `mtime` in seconds since 1970. */
export async function readOverlay(
  folder: string,
  data: Readonly<Record<string, unknown>>,
  mtime: number,
): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (const file of await listOverlay(folder)) {
    const source = join(folder, file.path);
    const common = { uid: 0, gid: 0, mtime };
    if (file.kind === 'directory') {
      entries.push({ ...common, kind: 'directory', path: file.path, mode: 0o755 });
    } else if (file.kind === 'symlink') {
      entries.push({
        ...common,
        kind: 'symlink',
        path: file.path,
        mode: 0o777,
        target: await readlink(source),
      });
    } else {
      const content = await readFile(source);
      const template = file.path.endsWith('.hbs');
      const bytes = template ? Buffer.from(renderTemplate(source, content.toString('utf8'), data)) : content;
      const path = template ? file.path.slice(0, -'.hbs'.length) : file.path;
      entries.push(fileEntry(path, bytes, { ...common, mode: file.executable ? 0o755 : 0o644 }));
    }
  }
  return entries;
}

/** A file whose bytes are in memory: for what is generated and small. */
export function fileEntry(
  path: string,
  content: Uint8Array | string,
  attributes: { readonly mode: number; readonly uid?: number; readonly gid?: number; readonly mtime: number },
): Entry {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  const segments = bytes.length === 0 ? [] : [{ offset: 0, bytes: { at: 'memory' as const, bytes } }];
  return { uid: 0, gid: 0, ...attributes, kind: 'file', path, size: bytes.length, segments };
}

/** SHA-256 (hex) of all that shapes an overlay's entries: names, kinds, what may be executed, targets and bytes. */
export async function digestOfOverlay(folder: string): Promise<string> {
  const hash = createHash('sha256');
  for (const { path, kind, executable } of await listOverlay(folder)) {
    const source = join(folder, path);
    let content = '';
    if (kind === 'file')
      content = createHash('sha256')
        .update(await readFile(source))
        .digest('hex');
    if (kind === 'symlink') content = await readlink(source);
    hash.update(JSON.stringify([path, kind, executable, content]));
  }
  return hash.digest('hex');
}

/** Paths of the links in a folder. */
export async function linksIn(folder: string): Promise<string[]> {
  return (await listOverlay(folder)).filter(({ kind }) => kind === 'symlink').map(({ path }) => path);
}

/** Everything in a folder, parents first, in byte order of names. What a link leads to is not gone into. */
async function listOverlay(folder: string): Promise<OverlayFile[]> {
  const found: OverlayFile[] = [];
  const below = async (prefix: string): Promise<void> => {
    for (const name of await readdir(join(folder, prefix))) {
      const path = `${prefix}${name}`;
      const state = await lstat(join(folder, path));
      if (!state.isDirectory() && !state.isSymbolicLink() && !state.isFile()) {
        throw new Failure('input', {
          what: 'an overlay holds a device node, a pipe or a socket',
          where: join(folder, path),
          why: 'only files, folders and links are laid over a base',
          fix: 'remove it',
        });
      }
      const kind = state.isDirectory() ? 'directory' : state.isSymbolicLink() ? 'symlink' : 'file';
      found.push({ path, kind, executable: kind === 'file' && (state.mode & 0o100) !== 0 });
      if (kind === 'directory') await below(`${path}/`);
    }
  };
  await below('');
  return found.sort((a, b) => (a.path < b.path ? -1 : 1));
}
