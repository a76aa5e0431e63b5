// Reads image archives: what `docker save` makes (docker-archive) and OCI image layouts as tar files.
// Formats: docker's image specification v1.2 (manifest.json); OCI image-spec, "Image Layout" and "Image Index".
import { closeSync, openSync, readSync } from 'node:fs';
import { posix } from 'node:path';
import { z } from 'zod';
import { Failure } from '../../../formats/errors.ts';
import { indexTar } from '../../tree/tar.ts';
import type { Extent } from '../compression.ts';
import { parseReference, printReference } from './reference.ts';

/** One image of an archive, for one platform or several. */
export interface ArchivedImage {
  /** Full names that it is imported under. */
  readonly names: readonly string[];
  /** Of its manifest or index; an archive of docker's has none. */
  readonly digest?: string;
  /** Architectures that all parts are there for, in Go's words: amd64, arm64, arm. */
  readonly architectures: readonly string[];
  /** Files of the archive that it is made of, without its entry in manifest.json or index.json. */
  readonly files: readonly string[];
}

/** An archive as it lies in a plain tar file. */
export interface ImageArchive {
  readonly file: string;
  readonly layout: 'docker' | 'oci';
  readonly images: readonly ArchivedImage[];
  /** The bytes of a file in the archive; undefined when it is not there. */
  find(path: string): Extent | undefined;
}

/** JSON in an archive is at most this long, in bytes. */
const largestJson = 8 * 1024 ** 2;
const mostFiles = 200_000;
/** How deep an index may point to another. */
const deepest = 4;

/** Reads what is in a plain tar file; Failure('input') when it is neither of the two layouts, or not whole. */
export function readImageArchive(file: string): ImageArchive {
  const find = filesOf(file);
  const oci = find('oci-layout') !== undefined && find('index.json') !== undefined;
  if (!oci && find('manifest.json') === undefined) {
    throw refuse(file, 'it has neither index.json (OCI layout) nor manifest.json (docker save)');
  }
  // An archive may be both at once. containerd then reads the OCI layout, and so do we.
  const images = oci ? ociImages(file, find) : dockerImages(file, find);
  return { file, layout: oci ? 'oci' : 'docker', images, find };
}

type Find = ImageArchive['find'];

/** The plain files of a tar by their path; links lead to the file they name. */
function filesOf(file: string): Find {
  const files = new Map<string, Extent>();
  const links = new Map<string, string>();
  for (const entry of indexTar(file)) {
    if (files.size + links.size >= mostFiles) throw refuse(file, `it has more than ${mostFiles} files`);
    if (entry.kind === 'file') {
      const [segment, more] = entry.segments;
      const bytes = segment?.bytes;
      if (more !== undefined || (bytes !== undefined && bytes.at !== 'file'))
        throw refuse(file, `${entry.path} is sparse`);
      files.set(entry.path, { file, offset: bytes?.offset ?? 0, length: entry.size });
    } else if (entry.kind === 'hardlink') {
      links.set(entry.path, entry.target);
    } else if (entry.kind === 'symlink') {
      links.set(entry.path, posix.normalize(posix.join(posix.dirname(entry.path), entry.target)));
    }
  }
  return (path) => {
    let at = path;
    for (let hops = 0; hops < 8; hops++) {
      const found = files.get(at);
      const next = links.get(at);
      if (found !== undefined || next === undefined) return found;
      at = next;
    }
    return undefined;
  };
}

const dockerManifest = z.array(
  z.looseObject({ Config: z.string(), RepoTags: z.array(z.string()).nullish(), Layers: z.array(z.string()) }),
);

/** The entries of docker's manifest.json. */
export function dockerManifestOf(
  archive: Pick<ImageArchive, 'file' | 'find'>,
): z.output<typeof dockerManifest> {
  return json(archive.file, archive.find, 'manifest.json', dockerManifest);
}

function dockerImages(file: string, find: Find): ArchivedImage[] {
  return dockerManifestOf({ file, find }).map(({ Config, RepoTags, Layers }) => {
    for (const path of Layers)
      if (find(path) === undefined) throw refuse(file, `the layer ${path} is not in it`);
    const { architecture } = json(file, find, Config, imageConfig);
    const names = (RepoTags ?? []).flatMap((tag) => fullName(tag) ?? []);
    return { names, architectures: [architecture], files: [Config, ...Layers] };
  });
}

const imageConfig = z.looseObject({ architecture: z.string() });
const descriptor = z.looseObject({
  mediaType: z.string().optional(),
  digest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  platform: z.looseObject({ architecture: z.string() }).optional(),
  annotations: z.record(z.string(), z.string()).optional(),
});
const ociIndex = z.looseObject({ manifests: z.array(descriptor) });
const ociManifest = z.looseObject({ config: descriptor, layers: z.array(descriptor) });
const ociNode = z.union([ociIndex, ociManifest]);
type Descriptor = z.output<typeof descriptor>;

/** index.json of an OCI layout. */
export function ociIndexOf(archive: Pick<ImageArchive, 'file' | 'find'>): z.output<typeof ociIndex> {
  return json(archive.file, archive.find, 'index.json', ociIndex);
}

/** The full name that containerd gives to an entry of index.json, if it gives one. */
export function ociNameOf({ annotations = {} }: Descriptor): string | undefined {
  const written = annotations['org.opencontainers.image.ref.name'];
  // Alone a tag, as in `latest`, names nothing.
  return fullName(annotations['io.containerd.image.name'] ?? (written?.includes('/') ? written : ''));
}

function ociImages(file: string, find: Find): ArchivedImage[] {
  return ociIndexOf({ file, find }).manifests.map((top) => {
    const architectures = new Set<string>();
    const files = new Set<string>();
    const visit = ({ digest }: Descriptor, depth: number): void => {
      const path = blobPath(digest);
      if (find(path) === undefined || depth > deepest) return; // another platform's, left out of the archive
      const node = json(file, find, path, ociNode);
      files.add(path);
      if ('manifests' in node && Array.isArray(node.manifests)) {
        for (const inner of ociIndex.parse(node).manifests) visit(inner, depth + 1);
        return;
      }
      const { config, layers } = ociManifest.parse(node);
      const parts = [config, ...layers].map((part) => blobPath(part.digest));
      const there = parts.filter((part) => find(part) !== undefined);
      for (const part of there) files.add(part);
      if (there.length < parts.length) return;
      const known = json(
        file,
        find,
        blobPath(config.digest),
        z.looseObject({ architecture: z.string().optional() }),
      );
      if (known.architecture !== undefined && known.architecture !== 'unknown')
        architectures.add(known.architecture);
    };
    visit(top, 0);
    const name = ociNameOf(top);
    return {
      names: name === undefined ? [] : [name],
      digest: top.digest,
      architectures: [...architectures].sort(),
      files: [...files].sort(),
    };
  });
}

function blobPath(digest: string): string {
  return `blobs/${digest.replace(':', '/')}`;
}

function fullName(text: string): string | undefined {
  const reference = parseReference(text);
  return reference === undefined ? undefined : printReference(reference);
}

function json<T>(file: string, find: Find, path: string, schema: z.ZodType<T>): T {
  const extent = find(path);
  if (extent === undefined) throw refuse(file, `${path} is not in it`);
  if (extent.length > largestJson) throw refuse(file, `${path} has ${extent.length} bytes`);
  const bytes = Buffer.alloc(extent.length);
  const handle = openSync(file, 'r');
  try {
    readSync(handle, bytes, 0, bytes.length, extent.offset);
  } finally {
    closeSync(handle);
  }
  try {
    return schema.parse(JSON.parse(bytes.toString('utf8')));
  } catch (error) {
    throw refuse(file, `${path} is not what the format says`, error);
  }
}

function refuse(where: string, why: string, cause?: unknown): Failure {
  return new Failure('input', { what: 'not an image archive that can be used', where, why }, cause);
}
