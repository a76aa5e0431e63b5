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
  /** Architectures that all parts are there for, in Go's words (amd64, arm64, arm), and these parts. */
  readonly platforms: ReadonlyMap<string, Platform>;
}

/** What an image is on one architecture. */
export type Platform =
  | {
      readonly kind: 'docker';
      /** Files of the archive. */
      readonly config: string;
      readonly layers: readonly string[];
      /** SHA-256 (hex) of files, as far as it is known; that of a layer is of its plain bytes. */
      readonly digests: ReadonlyMap<string, string>;
    }
  | {
      readonly kind: 'oci';
      readonly manifest: Manifest;
      /** Files of the archive, the manifest among them. */
      readonly files: readonly string[];
    };

/** What an index says of a manifest. */
interface Manifest {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
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
    throw refuse(
      file,
      'it has neither oci-layout and index.json (OCI layout) nor manifest.json (docker save)',
    );
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

function dockerImages(file: string, find: Find): ArchivedImage[] {
  return json(file, find, 'manifest.json', dockerManifest).map(
    ({ Config: config, RepoTags, Layers: layers }) => {
      for (const path of layers)
        if (find(path) === undefined) throw refuse(file, `the layer ${path} is not in it`);
      const { architecture, os, rootfs } = json(file, find, config, imageConfig);
      const names = (RepoTags ?? []).flatMap((tag) => fullName(tag) ?? []);
      const digests = dockerDigests(config, layers, rootfs?.diff_ids ?? []);
      const platform = { kind: 'docker', config, layers, digests } as const;
      return { names, platforms: new Map(os === 'linux' ? [[architecture, platform]] : []) };
    },
  );
}

/** A configuration is called by its digest, and has those of its layers. */
function dockerDigests(
  config: string,
  layers: readonly string[],
  ids: readonly string[],
): Map<string, string> {
  const known = new Map<string, string>();
  const learn = (path: string, id: string): void => {
    const digest = /^sha256:([0-9a-f]{64})$/.exec(id)?.[1];
    if (digest !== undefined) known.set(path, digest);
  };
  learn(config, `sha256:${config.replace(/\.json$/, '')}`);
  if (ids.length === layers.length)
    for (const [index, path] of layers.entries()) learn(path, ids[index] ?? '');
  return known;
}

const imageConfig = z.looseObject({
  architecture: z.string(),
  os: z.string().default('linux'),
  rootfs: z.looseObject({ diff_ids: z.array(z.string()).nullish() }).nullish(),
});
const descriptor = z.looseObject({
  mediaType: z.string().optional(),
  digest: z.string().regex(/^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/),
  annotations: z.record(z.string(), z.string()).optional(),
});
const ociIndex = z.looseObject({ manifests: z.array(descriptor) });
const ociManifest = z.looseObject({
  mediaType: z.string().optional(),
  config: descriptor,
  layers: z.array(descriptor),
});
/** Artifacts, manifests of docker's first schema and the like: no image that could be run here. */
const ociOther = z.looseObject({}).transform(() => undefined);
const ociNode = z.union([ociIndex, ociManifest, ociOther]);
/** Of an artifact, such as a signature, it is anything. */
const ociConfig = z.union([
  z.looseObject({ architecture: z.string(), os: z.string(), variant: z.string().optional() }),
  z.unknown().transform(() => undefined),
]);
type Descriptor = z.output<typeof descriptor>;

const plainManifest = 'application/vnd.oci.image.manifest.v1+json';

/** The full name that containerd gives to an entry of index.json, if it gives one. */
function ociNameOf({ annotations = {} }: Descriptor): string | undefined {
  const written = annotations['org.opencontainers.image.ref.name'];
  // Alone a tag, as in `latest`, names nothing; a tag has neither of these.
  return fullName(
    annotations['io.containerd.image.name'] ?? (/[/:]/.test(written ?? '') ? (written ?? '') : ''),
  );
}

function ociImages(file: string, find: Find): ArchivedImage[] {
  return json(file, find, 'index.json', ociIndex).manifests.map((top) => {
    const platforms = new Map<string, { rank: number; platform: Platform }>();
    const seen = new Set<string>();
    const visit = (at: Descriptor, depth: number): void => {
      const path = blobPath(at.digest);
      const extent = find(path);
      if (extent === undefined || depth > deepest) return; // another platform's, left out of the archive
      if (seen.has(path)) return;
      seen.add(path);
      const node = json(file, find, path, ociNode);
      if (node === undefined) return;
      if ('manifests' in node && Array.isArray(node.manifests)) {
        for (const inner of ociIndex.parse(node).manifests) visit(inner, depth + 1);
        return;
      }
      const { config, layers, mediaType = at.mediaType ?? plainManifest } = ociManifest.parse(node);
      const parts = [config, ...layers].map((part) => blobPath(part.digest));
      if (parts.some((part) => find(part) === undefined)) return;
      const known = json(file, find, blobPath(config.digest), ociConfig);
      if (known === undefined || known.os !== 'linux') return;
      const rank = rankOf(known.variant);
      if ((platforms.get(known.architecture)?.rank ?? 0) >= rank) return;
      const manifest = { mediaType, digest: at.digest, size: extent.length };
      const files = [...new Set([path, ...parts])].sort();
      platforms.set(known.architecture, { rank, platform: { kind: 'oci', manifest, files } });
    };
    visit(top, 0);
    const name = ociNameOf(top);
    return {
      names: name === undefined ? [] : [name],
      digest: top.digest,
      platforms: new Map(
        [...platforms].sort().map(([architecture, { platform }]) => [architecture, platform]),
      ),
    };
  });
}

/** Of several variants of an architecture, the one that boards run best: armv7; of the others, what all can run. */
function rankOf(variant: string | undefined): number {
  if (variant === 'v7') return 4;
  if (variant === undefined || variant === '' || variant === 'v8' || variant === 'v1') return 3;
  return variant === 'v6' ? 2 : 1;
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
  const fix = 'make it anew: docker save, or skopeo copy to docker-archive: or oci-archive:';
  return new Failure('input', { what: 'not an image archive that can be used', where, why, fix }, cause);
}
