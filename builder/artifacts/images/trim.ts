// Writes an archive that holds some images of another one and nothing else; the same choice gives the same bytes.
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { type Pack, pack } from 'tar-stream';
import { Failure } from '../../../formats/errors.ts';
import { dockerManifestOf, type ImageArchive, ociIndexOf, ociNameOf } from './archive.ts';
import { parseReference, printReference } from './reference.ts';

/** Writes the images of these names to a new plain tar file. Blobs are compared with their digests on the way. */
export async function trimArchive(
  archive: ImageArchive,
  names: readonly string[],
  to: string,
  signal?: AbortSignal,
): Promise<void> {
  const keep = new Set(names);
  const kept = archive.images.filter((image) => image.names.some((name) => keep.has(name)));
  const files = [...new Set(kept.flatMap((image) => image.files))].sort();
  const tar = pack();
  const writing = pipeline(
    tar,
    createWriteStream(to, { flags: 'wx' }),
    signal === undefined ? {} : { signal },
  );
  const fill = async () => {
    for (const [name, text] of heads(archive, keep)) tar.entry(header(name, Buffer.byteLength(text)), text);
    for (const path of files) await addFile(tar, archive, path);
    tar.finalize();
  };
  const filled = fill().catch((error: unknown) => {
    tar.destroy(error instanceof Error ? error : new Error(String(error)));
    throw error;
  });
  const [filling, written] = await Promise.allSettled([filled, writing]);
  if (filling.status === 'rejected') throw filling.reason;
  if (written.status === 'rejected') throw written.reason;
}

/** The files that say what is in the archive. */
function heads(archive: ImageArchive, keep: ReadonlySet<string>): [name: string, text: string][] {
  if (archive.layout === 'oci') {
    const { manifests, ...rest } = ociIndexOf(archive);
    const kept = manifests.filter((each) => keep.has(ociNameOf(each) ?? ''));
    return [
      ['oci-layout', '{"imageLayoutVersion":"1.0.0"}'],
      ['index.json', JSON.stringify({ ...rest, manifests: kept })],
    ];
  }
  const manifests = dockerManifestOf(archive).flatMap(({ Config, RepoTags, Layers }) => {
    const tags = (RepoTags ?? []).filter((tag) => {
      const reference = parseReference(tag);
      return reference !== undefined && keep.has(printReference(reference));
    });
    return tags.length === 0 ? [] : [{ Config, RepoTags: tags, Layers }];
  });
  return [['manifest.json', JSON.stringify(manifests)]];
}

async function addFile(tar: Pack, archive: ImageArchive, path: string): Promise<void> {
  const extent = archive.find(path);
  if (extent === undefined) throw new Error(`${path} was found when the archive was read`);
  const { file, offset, length } = extent;
  const hash = createHash('sha256');
  if (length === 0) {
    tar.entry(header(path, 0), '');
  } else {
    const source = createReadStream(file, {
      start: offset,
      end: offset + length - 1,
      highWaterMark: 1 << 20,
    });
    source.on('data', (chunk) => hash.update(chunk));
    await pipeline(source, tar.entry(header(path, length)));
  }
  const [, expected] = /^blobs\/sha256\/([0-9a-f]{64})$/.exec(path) ?? [];
  const digest = hash.digest('hex');
  if (expected === undefined || expected === digest) return;
  throw new Failure('input', {
    what: 'an image archive is damaged',
    where: file,
    why: `${path} has the sha256 ${digest}`,
    fix: 'make the archive anew',
  });
}

function header(name: string, size: number) {
  return { name, size, mode: 0o644, uid: 0, gid: 0, mtime: new Date(0) };
}
