// Reads an image archive once from its beginning to its end: is it whole, what does it name, for which machines. What
// `docker save` makes (manifest.json) and OCI image layouts as tar files (index.json), plain or by gzip.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { posix } from 'node:path';
import { type Duplex, pipeline, type Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import { Failure } from '../../formats/errors.ts';
import { isRecord, parseJson } from '../../formats/json.ts';

export interface ImageArchive {
  /** Names as the archive has them; at least one. */
  readonly names: readonly string[];
  /** In Go's words: amd64, arm64, arm. Of each image, those that all parts are there for. */
  readonly architectures: readonly (readonly string[])[];
  /** SHA-256 of the file, in hexadecimal. */
  readonly sha256: string;
  /** Of the file, in bytes, and of what is in it. */
  readonly size: number;
  readonly unpacked: number;
  /** Ending of a file's name by which k3s knows how to read it. */
  readonly ending: '.tar' | '.tar.gz';
}

/** JSON in an archive is at most this long, in bytes; all that is kept of one together. */
const largestJson = 8 * 1024 ** 2;
const mostJson = 64 * 1024 ** 2;
/** How deep an index may point to another. */
const deepest = 4;

/** What was met in the archive: JSON by its path, all paths, and links with their targets. */
interface Contents {
  readonly json: Map<string, unknown>;
  readonly paths: Set<string>;
  readonly links: Map<string, string>;
  /** Bytes of all files, and of those that were kept. */
  unpacked: number;
  kept: number;
}

/** Fails as input where it is no such archive, or not whole, and says what is missing. */
export async function readArchive(file: string): Promise<ImageArchive> {
  const ending = await endingOf(file);
  const hash = createHash('sha256');
  let size = 0;
  const bytes = createReadStream(file);
  bytes.on('data', (chunk) => {
    hash.update(chunk);
    size += chunk.length;
  });
  const contents = await read(file, ending === '.tar' ? [bytes] : [bytes, createGunzip()]);
  const images = imagesOf(file, contents);
  const names = images.flatMap((image) => image.names);
  if (names.length === 0)
    throw refuse(file, 'no image in it has a name', 'save it by its name: docker save -o FILE NAME:TAG');
  const architectures = images.map((image) => image.architectures);
  return { names, architectures, sha256: hash.digest('hex'), size, unpacked: contents.unpacked, ending };
}

/** By the first bytes: names lie. */
async function endingOf(file: string): Promise<ImageArchive['ending']> {
  const head = Buffer.alloc(512);
  const handle = await open(file, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') throw new Failure('input', { what: 'this file is not there', where: file });
    throw new Failure('io', { what: 'this file cannot be read', where: file, why: error.message });
  });
  try {
    await handle.read(head, 0, head.length, 0);
  } catch (error) {
    throw new Failure('input', { what: 'this is no file', where: file, why: String(error) });
  } finally {
    await handle.close();
  }
  if (head.readUInt16BE(0) === 0x1f8b) return '.tar.gz';
  if (head.readUInt32BE(0) === 0x28b52ffd) {
    const what = 'archives by zstd are not read here';
    throw new Failure('unsupported', {
      what,
      where: file,
      fix: 'unpack it where there is zstd: zstd -d FILE',
    });
  }
  if (head.toString('latin1', 257, 262) === 'ustar') return '.tar';
  throw refuse(file, 'it is no tar file');
}

async function read(file: string, streams: readonly [Readable, Duplex?]): Promise<Contents> {
  const contents: Contents = { json: new Map(), paths: new Set(), links: new Map(), unpacked: 0, kept: 0 };
  const tar = extract();
  // An error of any of them ends the loop below by that error.
  pipeline([...streams.filter((one) => one !== undefined), tar], () => {});
  try {
    for await (const entry of tar) {
      const path = posix.normalize(entry.header.name);
      if (entry.header.type === 'file') await readEntry(file, path, entry, contents);
      else if (entry.header.linkname) {
        const { type, linkname } = entry.header;
        const target = type === 'link' ? linkname : posix.join(posix.dirname(path), linkname);
        contents.links.set(path, posix.normalize(target));
      }
      entry.resume();
    }
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw refuse(file, `it is damaged or cut off: ${error instanceof Error ? error.message : error}`);
  }
  return contents;
}

async function readEntry(
  file: string,
  path: string,
  entry: AsyncIterable<unknown>,
  contents: Contents,
): Promise<void> {
  const blob = /^blobs\/sha256\/([0-9a-f]{64})$/.exec(path)?.[1];
  const hash = createHash('sha256');
  const kept: Buffer[] = [];
  let length = 0;
  for await (const chunk of entry) {
    if (!Buffer.isBuffer(chunk)) continue; // never: no encoding was set
    if (blob !== undefined) hash.update(chunk);
    length += chunk.length;
    if (length <= largestJson) kept.push(chunk);
  }
  if (blob !== undefined && hash.digest('hex') !== blob)
    throw refuse(file, `it is damaged: ${path} has another digest than its name`);
  contents.paths.add(path);
  contents.unpacked += length;
  const first = kept[0]?.[0];
  if (length > largestJson || (first !== 0x7b && first !== 0x5b)) return;
  contents.kept += length;
  if (contents.kept > mostJson) throw refuse(file, 'it holds more than can be looked at');
  const value = parseJson(Buffer.concat(kept).toString('utf8'));
  if (value !== undefined) contents.json.set(path, value);
}

interface Image {
  readonly names: readonly string[];
  readonly architectures: readonly string[];
}

function imagesOf(file: string, contents: Contents): Image[] {
  const { json, paths } = contents;
  // An archive may be both at once: k3s then reads the OCI layout.
  const index = paths.has('oci-layout') ? json.get('index.json') : undefined;
  if (isRecord(index)) return records(index['manifests']).map((top) => ociImage(file, contents, top));
  const manifest = json.get('manifest.json');
  if (Array.isArray(manifest)) return records(manifest).map((entry) => dockerImage(file, contents, entry));
  throw refuse(
    file,
    'it holds no images: neither index.json (OCI layout) nor manifest.json (docker save)',
    'make one with docker save, or skopeo copy … oci-archive:FILE:NAME',
  );
}

function dockerImage(file: string, contents: Contents, entry: Readonly<Record<string, unknown>>): Image {
  for (const layer of words(entry['Layers']))
    if (!isThere(contents, layer)) throw refuse(file, `it is not whole: the layer ${layer} is not in it`);
  const config = contents.json.get(String(entry['Config']));
  if (!isRecord(config)) throw refuse(file, `it is not whole: ${entry['Config']} is not in it`);
  return { names: words(entry['RepoTags']), architectures: words([config['architecture']]) };
}

function ociImage(file: string, contents: Contents, top: Readonly<Record<string, unknown>>): Image {
  const architectures = new Set<string>();
  let missing: string | undefined;
  const visit = (descriptor: Readonly<Record<string, unknown>>, depth: number): void => {
    const path = blobOf(descriptor);
    const node = contents.json.get(path);
    // Another platform's may be left out.
    if (!isRecord(node) || depth > deepest) {
      missing ??= path;
      return;
    }
    if (Array.isArray(node['manifests'])) {
      for (const inner of records(node['manifests'])) visit(inner, depth + 1);
      return;
    }
    const parts = records([node['config'], ...(Array.isArray(node['layers']) ? node['layers'] : [])]);
    const absent = parts.map(blobOf).find((part) => !contents.paths.has(part));
    missing ??= absent;
    const config = contents.json.get(blobOf(parts[0] ?? {}));
    if (absent === undefined && isRecord(config))
      for (const one of words([config['architecture']])) architectures.add(one);
  };
  visit(top, 0);
  if (architectures.size === 0) throw refuse(file, `it is not whole: ${missing} is not in it`);
  const annotations = isRecord(top['annotations']) ? top['annotations'] : {};
  const written = annotations['org.opencontainers.image.ref.name'];
  // Alone a tag, as in `latest`, names nothing.
  const named = typeof written === 'string' && written.includes('/') ? written : undefined;
  return {
    names: words([annotations['io.containerd.image.name'] ?? named]),
    architectures: [...architectures],
  };
}

function isThere({ paths, links }: Contents, path: string): boolean {
  let at = path;
  for (let hops = 0; hops < 8 && !paths.has(at); hops += 1) at = links.get(at) ?? at;
  return paths.has(at);
}

function blobOf({ digest }: Readonly<Record<string, unknown>>): string {
  return `blobs/${String(digest).replace(':', '/')}`;
}

function records(value: unknown): readonly Readonly<Record<string, unknown>>[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}

function words(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
}

function refuse(file: string, why: string, fix = 'copy it again, or make it anew'): Failure {
  return new Failure('input', {
    what: 'this is no archive of images that could be used',
    where: file,
    why,
    fix,
  });
}
