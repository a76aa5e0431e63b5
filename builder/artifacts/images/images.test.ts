// Archives, what is in them, what is missing, and what is left of them.
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { indexTar } from '../../tree/tar.ts';
import { dockerFiles, type FixtureImage, ociFiles, writeTar } from './archive.fixture.ts';
import { type ImageArchive, readImageArchive } from './archive.ts';
import { matchImages } from './gate.ts';
import { trimArchive } from './trim.ts';
import { disabledAddons, imagesOfK3s, imagesOfObjects, pulledAlways } from './wanted.ts';

const folder = mkdtempSync(join(tmpdir(), 'edgekiln-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let count = 0;
const next = () => join(folder, `${++count}.tar`);

const pause: FixtureImage = {
  names: ['rancher/mirrored-pause:3.6'],
  architectures: ['amd64'],
  layers: ['pause'],
};
const shop: FixtureImage = { names: ['shop/web:2'], architectures: ['amd64'], layers: ['common', 'web'] };
const till: FixtureImage = { names: ['shop/till:1'], architectures: ['amd64'], layers: ['common', 'till'] };
const both: FixtureImage = {
  names: ['docker.io/shop/both:1'],
  architectures: ['amd64', 'arm64'],
  layers: ['both'],
};
const full = (name: string) => `docker.io/${name}`;

const docker = async (...images: FixtureImage[]) =>
  readImageArchive(await writeTar(next(), dockerFiles(images)));
const oci = async (...images: FixtureImage[]) =>
  readImageArchive(await writeTar(next(), ociFiles(images).files));
const architecturesIn = ({ images }: ImageArchive) => images.map(({ platforms }) => [...platforms.keys()]);
/** Cuts an archive down to images of these names. */
const trim = (archive: ImageArchive, names: readonly string[], to: string) =>
  trimArchive(archive, matchImages(want(...names), [archive], 'amd64').kept[0]?.chosen ?? [], to);
const want = (...names: string[]) => names.map((name) => ({ name, by: 'app shop (web.yaml)' }));

describe('reading', () => {
  test('what docker save makes', async () => {
    const archive = await docker(pause, shop, till);
    expect(archive.layout).toBe('docker');
    expect(archive.images.map(({ names, platforms }) => [names, [...platforms.keys()]])).toEqual([
      [[full('rancher/mirrored-pause:3.6')], ['amd64']],
      [[full('shop/web:2')], ['amd64']],
      [[full('shop/till:1')], ['amd64']],
    ]);
  });

  test('an OCI layout, with one architecture and with two', async () => {
    const named = { ...shop, names: ['docker.io/shop/web:2'] };
    const { files, digests } = ociFiles([named, both]);
    const archive = readImageArchive(await writeTar(next(), files));
    expect(archive.layout).toBe('oci');
    expect(
      archive.images.map(({ names, digest, platforms }) => [names[0], digest, [...platforms.keys()]]),
    ).toEqual([
      [full('shop/web:2'), digests[0], ['amd64']],
      [full('shop/both:1'), digests[1], ['amd64', 'arm64']],
    ]);
  });

  test('an OCI layout counts an architecture only when all its parts are there', async () => {
    const { files } = ociFiles([both]);
    const cut = files.filter(
      ([, content]) =>
        typeof content !== 'string' || !content.includes('"architecture":"arm64","os":"linux","layers"'),
    );
    expect(cut.length).toBe(files.length - 1);
    expect(architecturesIn(readImageArchive(await writeTar(next(), cut)))).toEqual([['amd64']]);
  });

  test.each([
    [
      'something else',
      [['readme', 'hello']],
      'it has neither oci-layout and index.json (OCI layout) nor manifest.json (docker save)',
    ],
    ['broken JSON', [['manifest.json', '{']], 'manifest.json is not what the format says'],
    [
      'a layer that is not there',
      [
        ['manifest.json', '[{"Config":"c","Layers":["l"]}]'],
        ['c', '{}'],
      ],
      'the layer l is not in it',
    ],
    ['a list of another kind', [['manifest.json', '{"a":1}']], 'manifest.json is not what the format says'],
    [
      'links in a circle',
      [
        ['manifest.json', { link: 'a' }],
        ['a', { link: 'manifest.json' }],
      ],
      'it has neither',
    ],
  ] as const)('refuses %s', async (_name, files, why) => {
    const file = await writeTar(next(), files);
    expect(() => readImageArchive(file)).toThrow(
      expect.objectContaining({
        kind: 'input',
        problems: [expect.objectContaining({ where: file, why: expect.stringContaining(why) })],
      }),
    );
  });
});

describe('what is wanted', () => {
  const list = [
    'docker.io/rancher/klipper-helm:v0.9.8',
    'docker.io/rancher/klipper-lb:v0.4.13',
    'docker.io/rancher/local-path-provisioner:v0.0.32',
    'docker.io/rancher/mirrored-coredns-coredns:1.13.1',
    'docker.io/rancher/mirrored-library-busybox:1.36.1',
    'docker.io/rancher/mirrored-library-traefik:3.5.1',
    'docker.io/rancher/mirrored-metrics-server:v0.8.0',
    'docker.io/rancher/mirrored-pause:3.6',
  ].join('\n');

  test('of k3s is its list, less what is switched off', () => {
    expect(imagesOfK3s(list, 'v1', []).map(({ name }) => name)).toEqual(list.split('\n'));
    const config = { disable: ['traefik', 'servicelb,metrics-server', 'local-storage'] };
    const all = ['traefik', 'servicelb', 'metrics-server', 'local-storage', 'helm-controller'];
    expect(disabledAddons(config)).toEqual(all);
    expect(imagesOfK3s(`${list}\n\n# more\n`, 'v1', disabledAddons(config))).toEqual([
      { name: 'docker.io/rancher/mirrored-coredns-coredns:1.13.1', by: 'k3s v1' },
      { name: 'docker.io/rancher/mirrored-pause:3.6', by: 'k3s v1' },
    ]);
    // What the agent hands to k3s where the profile says nothing.
    expect(disabledAddons({})).toEqual(all);
    expect(disabledAddons({ disable: 'coredns' })).toEqual(['coredns', 'helm-controller']);
    expect(disabledAddons({ disable: [], 'disable-helm-controller': false })).toEqual([]);
  });

  test('of objects is every container of every pod', () => {
    const text = `
apiVersion: apps/v1
kind: Deployment
spec:
  template:
    spec:
      initContainers: [{ name: a, image: busybox }]
      containers: [{ name: b, image: "shop/web:2" }, { name: c, image: "shop/web:2" }]
      volumes: [{ name: v, image: { reference: "shop/data:1" } }]
---
apiVersion: batch/v1
kind: CronJob
spec: { jobTemplate: { spec: { template: { spec: { containers: [{ image: "quay.io/x/y@sha256:${'0'.repeat(64)}" }] } } } } }
---
kind: ConfigMap
data: { image: not/an/image, containers: none }
---
`;
    const objects = parseAllDocuments(text).map((document): unknown => document.toJS());
    expect(imagesOfObjects(objects, 'x').map(({ name }) => name)).toEqual([
      'docker.io/library/busybox:latest',
      `quay.io/x/y@sha256:${'0'.repeat(64)}`,
      'docker.io/shop/data:1',
      'docker.io/shop/web:2',
    ]);
  });
});

test('what is pulled at every start: by policy, or by the tag latest where there is no policy', () => {
  const containers = [
    { image: 'shop/web' },
    { image: 'shop/a:latest', imagePullPolicy: 'IfNotPresent' },
    { image: 'shop/b:2', imagePullPolicy: 'Always' },
    { image: 'shop/c:2' },
    { image: `shop/d@sha256:${'0'.repeat(64)}` },
  ];
  expect(pulledAlways([{ spec: { template: { spec: { containers } } } }])).toEqual(['shop/b:2', 'shop/web']);
});

describe('the gate', () => {
  test('lets pass what is there, each image from the first archive that has it', async () => {
    const archives = [await docker(pause, shop), await docker(shop, till)];
    const wanted = want(full('shop/web:2'), full('shop/till:1'));
    const { kept, problems } = matchImages(wanted, archives, 'amd64');
    expect(problems).toEqual([]);
    expect(kept.map(({ chosen }) => chosen.map(({ names }) => names))).toEqual([
      [[full('shop/web:2')]],
      [[full('shop/till:1')]],
    ]);
  });

  test('names what is missing, who wants it, and what comes close', async () => {
    const { digests } = ociFiles([both]);
    const archives = [await docker(shop), await oci(both)];
    const wanted = [
      { name: full('rancher/mirrored-pause:3.6'), by: 'k3s v1.36.4+k3s1' },
      ...want(full('shop/web:3'), `${full('shop/web:2')}@sha256:${'0'.repeat(64)}`, 'Not An Image'),
      { name: full('rancher/mirrored-pause:3.6'), by: 'app shop (web.yaml)' },
      ...want(`${full('shop/both')}@${digests[0]}`),
    ];
    const { problems } = matchImages(wanted, archives, 'amd64');
    expect(problems.map(({ what, why }) => [what, why])).toEqual([
      [
        'the image docker.io/rancher/mirrored-pause:3.6 is in no archive',
        'wanted by k3s v1.36.4+k3s1, app shop (web.yaml)',
      ],
      [
        'the image docker.io/shop/web:3 is in no archive',
        'wanted by app shop (web.yaml); the archives have docker.io/shop/web:2',
      ],
      [
        `the image docker.io/shop/web:2@sha256:${'0'.repeat(64)} is in no archive`,
        'wanted by app shop (web.yaml); it is there by its tag only, and a digest is kept by OCI archives alone',
      ],
      ['"Not An Image" is not the name of an image', 'wanted by app shop (web.yaml)'],
    ]);
    expect(problems[0]?.fix).toContain(
      'skopeo copy --override-arch amd64 docker://docker.io/rancher/mirrored-pause:3.6',
    );
  });

  test('says when images have no name, which a tag alone is not', async () => {
    const refer = async (name: string) => {
      const { files } = ociFiles([{ ...shop, names: [] }]);
      const named = files.map(([path, content]) => {
        if (path !== 'index.json' || typeof content !== 'string') return [path, content] as const;
        const index: { manifests: object[] } = JSON.parse(content);
        const annotations = { 'org.opencontainers.image.ref.name': name };
        const manifests = index.manifests.map((manifest) => ({ ...manifest, annotations }));
        return [path, JSON.stringify({ ...index, manifests })] as const;
      });
      return readImageArchive(await writeTar(next(), named));
    };
    const wanted = want(full('library/web:2'));
    const { problems } = matchImages(wanted, [await refer('2')], 'amd64');
    expect(problems.map(({ why }) => why)).toEqual([
      'wanted by app shop (web.yaml); the archives hold images without a name: 1',
    ]);
    // As skopeo writes what is copied to oci-archive:FILE:web:2.
    expect(matchImages(wanted, [await refer('web:2')], 'amd64').problems).toEqual([]);
  });

  test('says how to get an image that is wanted by its digest, and when the archive that names it lacks parts', async () => {
    const digest = `sha256:${'0'.repeat(64)}`;
    const { files } = ociFiles([both]);
    const torn = files.filter(([, content]) => content !== 'both');
    const archive = readImageArchive(await writeTar(next(), torn));
    const wanted = want(`${full('shop/both:1')}@${digest}`, full('shop/both:1'));
    expect(matchImages(wanted, [archive], 'amd64').problems).toEqual([
      {
        what: `the image ${full('shop/both:1')}@${digest} is in no archive`,
        why: `wanted by app shop (web.yaml); it is there by its tag only, and a digest is kept by OCI archives alone`,
        fix: `give an archive that holds it, such as: skopeo copy --all docker://${full('shop/both')}@${digest} oci-archive:FILE.tar:${full('shop/both')}`,
      },
      {
        what: `the image ${full('shop/both:1')} is in no archive`,
        why: 'wanted by app shop (web.yaml); the archive that names it lacks parts of it',
        fix: expect.stringContaining('--override-arch amd64 docker://'),
      },
    ]);
  });

  test('indexes that lead to each other are gone through once', async () => {
    const digests = Array.from({ length: 40 }, (_, index) => `${index}`.padStart(64, '0'));
    const manifests = digests.map((digest) => ({ digest: `sha256:${digest}` }));
    const index = JSON.stringify({ manifests });
    const files = digests.map((digest) => [`blobs/sha256/${digest}`, index] as const);
    const layout = [['oci-layout', '{}'] as const, ['index.json', index] as const];
    // Each of them by each way would be 2.6 million.
    const { images } = readImageArchive(await writeTar(next(), [...layout, ...files]));
    expect(images).toHaveLength(40);
  });

  test('says when an image is there for other boards only', async () => {
    const archives = [await docker(pause), await oci(both)];
    const wanted = want(full('rancher/mirrored-pause:3.6'), full('shop/both:1'));
    expect(matchImages(wanted, archives, 'arm64').problems.map(({ why }) => why)).toEqual([
      'wanted by app shop (web.yaml); it is there for amd64, not arm64',
    ]);
    expect(matchImages(wanted, archives, 'armhf').problems.map(({ why }) => why)).toEqual([
      'wanted by app shop (web.yaml); it is there for amd64, not arm',
      'wanted by app shop (web.yaml); it is there for amd64, arm64, not arm',
    ]);
  });
});

describe('trimming', () => {
  test('of a docker archive leaves the images kept, whole, and shared layers that were links', async () => {
    const archive = await docker(pause, shop, till);
    const to = next();
    await trim(archive, [full('shop/till:1')], to);
    const left = readImageArchive(to);
    expect(left.images.map(({ names }) => names)).toEqual([[full('shop/till:1')]]);
    const platform = left.images[0]?.platforms.get('amd64');
    const layer = left.find((platform?.kind === 'docker' && platform.layers[0]) || '');
    expect(
      layer &&
        readFileSync(to)
          .subarray(layer.offset, layer.offset + layer.length)
          .toString(),
    ).toBe('common');
    expect([...indexTar(to)].length).toBe(4);
  });

  test('of an OCI archive leaves one architecture, and names as the kubelet asks for them', async () => {
    const { files, digests } = ociFiles([both, { ...till, names: ['docker.io/shop/till:1'] }]);
    const archive = readImageArchive(await writeTar(next(), files));
    const to = next();
    await trim(archive, [full('shop/both:1'), `${full('shop/both:1')}@${digests[0]}`], to);
    const left = readImageArchive(to);
    const platform = archive.images[0]?.platforms.get('amd64');
    const manifest = platform?.kind === 'oci' ? platform.manifest.digest : '';
    expect(left.images.map(({ names, digest }) => [names[0], digest])).toEqual([
      [full('shop/both:1'), manifest],
      [`${full('shop/both')}@${digests[0]}`, manifest],
    ]);
    const paths = [...indexTar(to)].map(({ path }) => path);
    expect(paths.filter((path) => !path.startsWith('blobs/'))).toEqual(['oci-layout', 'index.json']);
    // Manifest, config and layer of amd64; nothing of arm64, and no index.
    expect(paths.filter((path) => path.startsWith('blobs/'))).toHaveLength(3);
  });

  test('takes the last of several under one name, and the variant that boards run', async () => {
    const variant = (layer: string): FixtureImage => ({ ...shop, layers: [layer] });
    const archive = await docker(variant('old'), variant('new'));
    const to = next();
    await trim(archive, [full('shop/web:2')], to);
    const texts = [...indexTar(to)].flatMap((entry) => (entry.kind === 'file' ? [entry.size] : []));
    expect(texts).toContain('new'.length);
    expect(readImageArchive(to).images).toHaveLength(1);
  });

  test('gives the same bytes whatever the order and the rest of the archive', async () => {
    const [one, two] = [next(), next()];
    await trim(await oci({ ...till, names: ['docker.io/shop/till:1'] }, both), [full('shop/both:1')], one);
    await trim(await oci(both, { ...pause, names: [full('rancher/p:1')] }), [full('shop/both:1')], two);
    expect(readFileSync(one).equals(readFileSync(two))).toBe(true);
    expect([...indexTar(one)].every(({ mtime, uid, gid }) => mtime + uid + gid === 0)).toBe(true);
  });

  test('refuses an archive whose blobs are damaged', async () => {
    const { files } = ociFiles([both]);
    const spoilt = files.map(([path, content]) => [path, content === 'both' ? 'bath' : content] as const);
    const archive = readImageArchive(await writeTar(next(), spoilt));
    await expect(trim(archive, [full('shop/both:1')], next())).rejects.toMatchObject({
      kind: 'input',
      problems: [{ what: 'an image archive is damaged', where: archive.file }],
    });
  });

  test('refuses an archive of docker’s whose layers are damaged; packed ones are taken as they are', async () => {
    const layer = 'the layer';
    const diffId = `sha256:${createHash('sha256').update(layer).digest('hex')}`;
    const config = JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs: { diff_ids: [diffId] } });
    const manifest = JSON.stringify([{ Config: 'c', RepoTags: ['shop/web:2'], Layers: ['l.tar'] }]);
    const made = async (content: string | Buffer) =>
      readImageArchive(
        await writeTar(next(), [
          ['c', config],
          ['l.tar', content],
          ['manifest.json', manifest],
        ]),
      );
    await trim(await made(layer), [full('shop/web:2')], next());
    await trim(await made(gzipSync(layer)), [full('shop/web:2')], next());
    const damaged = await made('the lawyer');
    await expect(trim(damaged, [full('shop/web:2')], next())).rejects.toMatchObject({
      kind: 'input',
      problems: [
        { what: 'an image archive is damaged', why: expect.stringContaining('l.tar has the sha256 ') },
      ],
    });
  });

  test('carries layers larger than a stream’s buffers', async () => {
    const large = { ...both, layers: ['x'.repeat(5_000_000)] };
    const to = next();
    await trim(await oci(large), [full('shop/both:1')], to);
    expect(statSync(to).size).toBeGreaterThan(5_000_000);
    expect(architecturesIn(readImageArchive(to))).toEqual([['amd64']]);
  });
});
