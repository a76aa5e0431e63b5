// Image archives for tests, as docker save and as an OCI layout.
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { buffer } from 'node:stream/consumers';
import { pack } from 'tar-stream';

export interface FixtureImage {
  /** Names as an archive writes them. */
  readonly names: readonly string[];
  readonly architectures: readonly string[];
  readonly layers: readonly string[];
}

type File = readonly [path: string, content: string | Buffer | { readonly link: string }];

export async function writeTar(file: string, files: readonly File[]): Promise<string> {
  const tar = pack();
  for (const [name, content] of files) {
    if (typeof content === 'object' && 'link' in content)
      tar.entry({ name, type: 'symlink', linkname: content.link });
    else tar.entry({ name }, content);
  }
  tar.finalize();
  writeFileSync(file, await buffer(tar));
  return file;
}

/** As docker save before version 25: a folder a layer, a layer met twice is a link. */
export function dockerFiles(images: readonly FixtureImage[]): File[] {
  const files = new Map<string, File[1]>();
  const manifest = images.map(({ names, architectures, layers }, number) => {
    const config = JSON.stringify({
      architecture: architectures[0],
      os: 'linux',
      rootfs: { type: 'layers', number },
    });
    const configPath = `${digest(config)}.json`;
    files.set(configPath, config);
    const paths = layers.map((layer, depth) => {
      const path = `${digest(`${number} ${depth}`)}/layer.tar`;
      const [first] = [...files].find(([, content]) => content === layer) ?? [];
      files.set(path, first === undefined ? layer : { link: `../${first}` });
      return path;
    });
    return { Config: configPath, RepoTags: names, Layers: paths };
  });
  return [...files, ['manifest.json', JSON.stringify(manifest)], ['repositories', '{}']];
}

/** As docker save since version 25, skopeo and buildkit make them; several architectures become an index. */
export function ociFiles(images: readonly FixtureImage[]): { files: File[]; digests: string[] } {
  const files = new Map<string, string>();
  const blob = (content: string) => {
    files.set(`blobs/sha256/${digest(content)}`, content);
    return { digest: `sha256:${digest(content)}`, size: Buffer.byteLength(content) };
  };
  const tops = images.map(({ architectures, layers }) => {
    const manifests = architectures.map((architecture) => {
      const config = blob(JSON.stringify({ architecture, os: 'linux', layers: layers.length }));
      const manifest = { schemaVersion: 2, config, layers: layers.map(blob) };
      return { ...blob(JSON.stringify(manifest)), platform: { architecture, os: 'linux' } };
    });
    const [single, ...more] = manifests;
    return single !== undefined && more.length === 0
      ? single
      : blob(JSON.stringify({ schemaVersion: 2, manifests }));
  });
  const index = tops.map((top, number) => {
    const name = images[number]?.names[0];
    return { ...top, ...(name === undefined ? {} : { annotations: { 'io.containerd.image.name': name } }) };
  });
  return {
    files: [
      ...files,
      ['oci-layout', '{"imageLayoutVersion":"1.0.0"}'],
      ['index.json', JSON.stringify({ schemaVersion: 2, manifests: index })],
    ],
    digests: tops.map((top) => top.digest),
  };
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
