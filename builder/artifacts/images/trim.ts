// Writes an archive that holds some images of another one and nothing else; the same choice gives the same bytes.
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { type Pack, pack } from 'tar-stream';
import { Failure } from '../../../formats/errors.ts';
import { compressionOf } from '../compression.ts';
import type { ImageArchive, Platform } from './archive.ts';

/** An image that is kept, for one architecture, and the full names that containerd is to know it by. */
export interface Chosen {
  readonly platform: Platform;
  readonly names: readonly string[];
}

/**
 * Writes these images to a new plain tar file: one architecture each, under full names, since containerd takes names
 * of an OCI layout as they are and refuses an index of which a part is missing. Blobs are compared with their digests
 * on the way.
 */
export async function trimArchive(
  archive: ImageArchive,
  chosen: readonly Chosen[],
  to: string,
  signal?: AbortSignal,
): Promise<void> {
  const digests = new Map(
    chosen.flatMap(({ platform }) => (platform.kind === 'docker' ? [...platform.digests] : [])),
  );
  const files = [...new Set(chosen.flatMap(({ platform }) => filesOf(platform)))].sort();
  const tar = pack();
  const writing = pipeline(
    tar,
    createWriteStream(to, { flags: 'wx' }),
    signal === undefined ? {} : { signal },
  );
  const fill = async () => {
    for (const [name, text] of heads(archive.layout, chosen))
      tar.entry(header(name, Buffer.byteLength(text)), text);
    for (const path of files) await addFile(tar, archive, path, digests.get(path));
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

function filesOf(platform: Platform): readonly string[] {
  return platform.kind === 'oci' ? platform.files : [platform.config, ...platform.layers];
}

/** The files that say what is in the archive; the same choice gives the same text, whatever its order. */
function heads(layout: ImageArchive['layout'], chosen: readonly Chosen[]): [name: string, text: string][] {
  const entries = chosen.flatMap(({ platform, names }) => entriesOf(platform, [...names].sort()));
  const sorted = entries.map((entry) => JSON.stringify(entry)).sort();
  if (layout === 'docker') return [['manifest.json', `[${sorted.join(',')}]`]];
  const mediaType = 'application/vnd.oci.image.index.v1+json';
  return [
    ['oci-layout', '{"imageLayoutVersion":"1.0.0"}'],
    ['index.json', `{"schemaVersion":2,"mediaType":"${mediaType}","manifests":[${sorted.join(',')}]}`],
  ];
}

function entriesOf(platform: Platform, names: readonly string[]): object[] {
  if (platform.kind === 'docker')
    return [{ Config: platform.config, RepoTags: names, Layers: platform.layers }];
  return names.map((name) => ({
    ...platform.manifest,
    // The one is containerd's, the other everybody else's.
    annotations: { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': name },
  }));
}

async function addFile(
  tar: Pack,
  archive: ImageArchive,
  path: string,
  plain: string | undefined,
): Promise<void> {
  const extent = archive.find(path);
  if (extent === undefined) throw new Error(`${path} was found when the archive was read`);
  const { file, offset, length } = extent;
  const [, algorithm = 'sha256', named] = /^blobs\/(sha256|sha512)\/([0-9a-f]+)$/.exec(path) ?? [];
  // The digest of plain bytes says nothing of a layer that is packed.
  const packed = named === undefined && (await compressionOf(file, offset)) !== 'none';
  const expected = named ?? (packed ? undefined : plain);
  const hash = createHash(algorithm);
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
  const digest = hash.digest('hex');
  if (expected === undefined || expected === digest) return;
  throw new Failure('input', {
    what: 'an image archive is damaged',
    where: file,
    why: `${path} has the ${algorithm} ${digest}`,
    fix: 'make the archive anew',
  });
}

function header(name: string, size: number) {
  return { name, size, mode: 0o644, uid: 0, gid: 0, mtime: new Date(0) };
}
