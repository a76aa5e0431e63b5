// A layer on disk: entries as an uncompressed tar, so that every stage's result can be indexed like a base.
import { createReadStream, createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import tar from 'tar-stream';
import { type Entry, lengthOf } from './entry.ts';
import { indexTar } from './tar.ts';
import { Tree } from './tree.ts';

/** Writes files, directories and symbolic links, in their order, as a tar. Holes are written out: layers are small. */
export async function writeLayer(file: string, entries: Iterable<Entry>): Promise<void> {
  const pack = tar.pack();
  // Whichever ends first, a source that cannot be read or a medium that is full, ends the other and is what is told.
  fill(pack, entries).catch((error: unknown) =>
    pack.destroy(error instanceof Error ? error : new Error(String(error))),
  );
  await pipeline(pack, createWriteStream(file));
}

async function fill(pack: tar.Pack, entries: Iterable<Entry>): Promise<void> {
  for (const entry of entries) await add(pack, entry);
  pack.finalize();
}

/** The tree that layers make, the later over the earlier. */
export function openLayers(files: readonly string[]): Tree {
  const tree = new Tree();
  for (const file of files) tree.merge(indexTar(file));
  return tree;
}

async function add(pack: tar.Pack, entry: Entry): Promise<void> {
  const { path, mode, uid, gid, mtime } = entry;
  const header = { name: path === '' ? './' : path, mode, uid, gid, mtime: new Date(mtime * 1000) };
  await new Promise<void>((resolve, reject) => {
    const done = (error?: Error | null): void => (error ? reject(error) : resolve());
    if (entry.kind === 'file') {
      const sink = pack.entry({ ...header, type: 'file', size: entry.size }, done);
      sink.on('error', reject);
      copy(entry, sink).catch(reject);
    } else if (entry.kind === 'directory') pack.entry({ ...header, type: 'directory' }, done);
    else if (entry.kind === 'symlink')
      pack.entry({ ...header, type: 'symlink', linkname: entry.target }, done);
    else reject(new Error(`a layer holds no ${entry.kind}: ${path}`));
  });
}

/** Writes a file's bytes, holes as zeros. */
async function copy(entry: Entry & { kind: 'file' }, sink: NodeJS.WritableStream): Promise<void> {
  let at = 0;
  const zeros = (length: number): void => {
    if (length > 0) sink.write(Buffer.alloc(length));
  };
  for (const { offset, bytes } of entry.segments) {
    zeros(offset - at);
    if (bytes.at === 'memory') sink.write(Buffer.from(bytes.bytes));
    else {
      const { file, offset: start, length } = bytes;
      for await (const chunk of createReadStream(file, { start, end: start + length - 1 })) {
        if (!sink.write(chunk)) await new Promise((resolve) => sink.once('drain', resolve));
      }
    }
    at = offset + lengthOf(bytes);
  }
  zeros(entry.size - at);
  sink.end();
}
