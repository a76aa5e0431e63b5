import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { expect, onTestFinished, test } from 'vitest';
import { Failure } from '../../formats/errors.ts';
import { readArchive } from './archive.ts';
import { importImages } from './import.ts';

const own = { x64: 'amd64', arm64: 'arm64', arm: 'arm' }[process.arch as 'x64'];
const real = { version: 'v1.36.4+k3s1', standIn: false };
const layer = 'bytes of a layer '.repeat(1000);

type File = readonly [path: string, content: string | { readonly link: string }];

/** As docker save before version 25: a layer that is met twice is a link. */
function docker(architecture: string, names: readonly string[] = ['till:2']): File[] {
  return [
    ['c.json', JSON.stringify({ architecture, os: 'linux' })],
    ['1/layer.tar', layer],
    ['2/layer.tar', { link: '../1/layer.tar' }],
    [
      'manifest.json',
      JSON.stringify([{ Config: 'c.json', RepoTags: names, Layers: ['1/layer.tar', '2/layer.tar'] }]),
    ],
  ];
}

/** As docker save since version 25: an index for several architectures, of which only the first is there. */
function oci(architectures: readonly string[]): File[] {
  const files: File[] = [['oci-layout', '{"imageLayoutVersion":"1.0.0"}']];
  const blob = (content: string, keep = true) => {
    const digest = createHash('sha256').update(content).digest('hex');
    if (keep) files.push([`blobs/sha256/${digest}`, content]);
    return { digest: `sha256:${digest}`, size: content.length };
  };
  const manifests = architectures.map((architecture, index) => {
    const config = blob(JSON.stringify({ architecture }), index === 0);
    return blob(JSON.stringify({ schemaVersion: 2, config, layers: [blob(layer)] }), index === 0);
  });
  const top = blob(JSON.stringify({ schemaVersion: 2, manifests }));
  const annotations = { 'io.containerd.image.name': 'docker.io/shop/web:1' };
  return [
    ...files,
    ['index.json', JSON.stringify({ schemaVersion: 2, manifests: [{ ...top, annotations }] })],
  ];
}

async function tarOf(files: readonly File[]): Promise<Buffer> {
  const tar = pack();
  for (const [name, content] of files) {
    if (typeof content === 'string') tar.entry({ name }, content);
    else tar.entry({ name, type: 'symlink', linkname: content.link });
  }
  tar.finalize();
  return buffer(tar);
}

function folderWith(bytes: Buffer): { file: string; paths: { images: string; data: string } } {
  const folder = mkdtempSync(join(tmpdir(), 'edgekiln-images-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'stick.tar');
  writeFileSync(file, bytes);
  return { file, paths: { images: join(folder, 'k3s/agent/images'), data: folder } };
}

const problemOf = async (work: Promise<unknown>) => {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof Failure)) throw new Error(`no failure, but ${error}`);
  const [{ what, why, fix } = { what: '' }] = error.problems;
  return { kind: error.kind, what, why, fix };
};

test('docker save and OCI layouts are read, plain and by gzip', async () => {
  const plain = await tarOf(docker('amd64', ['till:2', 'till:latest']));
  expect(await readArchive(folderWith(plain).file)).toEqual({
    names: ['till:2', 'till:latest'],
    architectures: [['amd64']],
    sha256: createHash('sha256').update(plain).digest('hex'),
    size: plain.length,
    unpacked: expect.any(Number),
    ending: '.tar',
  });
  const zipped = gzipSync(await tarOf(oci(['arm64', 'amd64'])));
  expect(await readArchive(folderWith(zipped).file)).toMatchObject({
    names: ['docker.io/shop/web:1'],
    architectures: [['arm64']],
    size: zipped.length,
    ending: '.tar.gz',
  });
});

test('what is damaged, cut off, incomplete, without name or no archive is refused, and nothing is kept', async () => {
  const good = await tarOf(oci(['amd64']));
  const at = good.indexOf('bytes of a layer');
  const damaged = Buffer.from(good);
  damaged[at] = 0x42;
  const lacking = (path: string) => tarOf(docker('amd64').filter(([name]) => name !== path));
  const cases: readonly [Buffer, RegExp][] = [
    [damaged, /^it is damaged: blobs\/sha256\/[0-9a-f]{64} has another digest than its name$/],
    [good.subarray(0, at + 100), /^it is damaged or cut off: /],
    [gzipSync(good).subarray(0, 300), /^it is damaged or cut off: /],
    [await lacking('1/layer.tar'), /^it is not whole: the layer 1\/layer.tar is not in it$/],
    [await lacking('c.json'), /^it is not whole: c.json is not in it$/],
    [await tarOf(docker('amd64', [])), /^no image in it has a name$/],
    [await tarOf([['hello', 'world']]), /^it holds no images: neither index.json/],
    [Buffer.from('hello'), /^it is no tar file$/],
  ];
  for (const [bytes, why] of cases) {
    const { file, paths } = folderWith(bytes);
    expect(await problemOf(importImages(file, paths, real))).toMatchObject({
      kind: 'input',
      what: 'this is no archive of images that could be used',
      why: expect.stringMatching(why),
    });
    expect(existsSync(paths.images)).toBe(false);
  }
  const { file, paths } = folderWith(Buffer.from('28b52ffd00', 'hex'));
  expect(await problemOf(importImages(file, paths, real))).toMatchObject({
    kind: 'unsupported',
    fix: 'unpack it where there is zstd: zstd -d FILE',
  });
  expect(await problemOf(importImages(`${file}.not`, paths, real))).toMatchObject({
    kind: 'input',
    what: 'this file is not there',
  });
});

test('another kind of machine, and a device without a real k3s, are said', async () => {
  const other = own === 'arm64' ? 'amd64' : 'arm64';
  const { file, paths } = folderWith(await tarOf(docker(other)));
  expect(await problemOf(importImages(file, paths, real))).toEqual({
    kind: 'input',
    what: 'these images are for another kind of machine: till:2',
    why: `they are for ${other}, this device is ${own}`,
    fix: `docker pull --platform linux/${own} NAME, and save it again`,
  });
  const fit = folderWith(await tarOf(docker(own)));
  expect(await problemOf(importImages(fit.file, fit.paths, { ...real, standIn: true }))).toMatchObject({
    kind: 'unsupported',
    why: 'its image holds the imitation of k3s',
  });
});

test('a copy stays where k3s imports from, once; what k3s has done is said', async () => {
  const bytes = await tarOf(docker(own));
  const { file, paths } = folderWith(bytes);
  const nowhere = join(paths.data, 'no.sock');
  const first = await importImages(file, paths, real, nowhere);
  expect(first).toMatchObject({ names: ['till:2'], state: 'at the next start' });
  expect(readFileSync(first.file)).toEqual(bytes);
  expect(readdirSync(join(paths.images, '..'))).toEqual(['images']);
  // k3s runs: it notes what it has imported.
  mkdirSync(join(paths.data, 'run'));
  const again = importImages(file, paths, real, join(paths.data, 'run'));
  await sleep(50);
  writeFileSync(join(paths.images, '.cache.json'), JSON.stringify({ [first.file]: {} }));
  expect(await again).toEqual({ ...first, state: 'imported' });
  expect(readdirSync(paths.images).filter((name) => name.startsWith('imported-'))).toHaveLength(1);
});
