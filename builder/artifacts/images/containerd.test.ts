// Archives as they are met outside go through the stage `images`, and a real containerd imports what is left: k3s's.
//
//   EDGEKILN_K3S=/path/to/k3s npx vitest run builder/artifacts/images/containerd      (as root)
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { workshopIn } from '../../pipeline/workshop.fixture.ts';
import { images } from '../../stages/images.ts';

const k3s = process.env['EDGEKILN_K3S'];
const work = mkdtempSync(join(tmpdir(), 'edgekiln-containerd-'));
const socket = join(work, 'socket');
let containerd: ChildProcess | undefined;

const sha256 = (bytes: string | Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
let count = 0;

/** A tar file, by tar. */
function tar(files: Readonly<Record<string, string | Uint8Array>>): Buffer {
  const folder = join(work, `tree-${++count}`);
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(folder, path, '..'), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  return execFileSync('tar', ['-C', folder, '-cf', '-', '--owner=0', '--group=0', '.'], {
    maxBuffer: 1 << 26,
  });
}

interface Part {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** An OCI layout that grows: its blobs, and what its index.json names. */
class Layout {
  readonly files: Record<string, string | Uint8Array> = { 'oci-layout': '{"imageLayoutVersion":"1.0.0"}' };
  readonly tops: object[] = [];

  blob(kind: string, content: string | Uint8Array): Part {
    const digest = sha256(content);
    this.files[`blobs/sha256/${digest}`] = content;
    return {
      mediaType: `application/vnd.oci.${kind}`,
      digest: `sha256:${digest}`,
      size: Buffer.byteLength(content),
    };
  }

  image(architecture: string, text: string, more: { os?: string; layers?: object[] } = {}): Part {
    const layer = tar({ 'etc/hello': text });
    const layers = [this.blob('image.layer.v1.tar+gzip', gzipSync(layer)), ...(more.layers ?? [])];
    const rootfs = { type: 'layers', diff_ids: [`sha256:${sha256(layer)}`] };
    const os = more.os ?? 'linux';
    const config = this.blob(
      'image.config.v1+json',
      JSON.stringify({ architecture, os, rootfs, config: {} }),
    );
    const manifest = {
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config,
      layers,
    };
    return this.blob('image.manifest.v1+json', JSON.stringify(manifest));
  }

  index(manifests: readonly object[]): Part {
    const mediaType = 'application/vnd.oci.image.index.v1+json';
    return this.blob('image.index.v1+json', JSON.stringify({ schemaVersion: 2, mediaType, manifests }));
  }

  name(part: Part, annotations: Readonly<Record<string, string>>): void {
    this.tops.push({ ...part, annotations });
  }

  pack(): Buffer {
    const index = JSON.stringify({ schemaVersion: 2, manifests: this.tops });
    return tar({ ...this.files, 'index.json': index });
  }
}

const containerdName = 'io.containerd.image.name';
const refName = 'org.opencontainers.image.ref.name';

/** As buildkit makes one: two platforms, each with an attestation; the parts of arm64 were left out. */
function multiPlatform(): { bytes: Buffer; digest: string } {
  const layout = new Layout();
  const amd64 = layout.image('amd64', 'two platforms, amd64');
  const before = new Set(Object.keys(layout.files));
  const arm64 = layout.image('arm64', 'two platforms, arm64');
  for (const path of Object.keys(layout.files)) if (!before.has(path)) delete layout.files[path];
  const config = layout.blob(
    'image.config.v1+json',
    '{"architecture":"unknown","os":"unknown","config":{},"rootfs":{}}',
  );
  const statement = {
    ...layout.blob('x', '{"_type":"https://in-toto.io/Statement/v0.1"}'),
    mediaType: 'application/vnd.in-toto+json',
  };
  const attestation = layout.blob(
    'image.manifest.v1+json',
    JSON.stringify({ schemaVersion: 2, config, layers: [statement] }),
  );
  const index = layout.index([
    { ...amd64, platform: { architecture: 'amd64', os: 'linux' } },
    { ...arm64, platform: { architecture: 'arm64', os: 'linux' } },
    {
      ...attestation,
      annotations: {
        'vnd.docker.reference.type': 'attestation-manifest',
        'vnd.docker.reference.digest': amd64.digest,
      },
      platform: { architecture: 'unknown', os: 'unknown' },
    },
  ]);
  layout.name(index, { [containerdName]: 'registry.example.com:5000/shop/two:1', [refName]: '1' });
  return { bytes: layout.pack(), digest: index.digest };
}

/** Short names, a signature, an image for Windows, one whose foreign layer nobody ships, and a bare tag. */
function mixture(): Buffer {
  const layout = new Layout();
  layout.name(layout.image('amd64', 'short name'), { [refName]: 'shop/short:2' });
  layout.name(layout.image('amd64', 'bare tag'), { [refName]: 'latest' });
  const foreign = {
    mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
    digest: `sha256:${'0'.repeat(64)}`,
    size: 10,
    urls: ['https://example.com/layer'],
  };
  layout.name(layout.image('amd64', 'windows', { os: 'windows', layers: [foreign] }), {
    [refName]: 'docker.io/shop/windows:1',
  });
  const empty = { ...layout.blob('empty.v1+json', '{}'), data: 'e30=' };
  const signature = layout.blob('x', '{"critical":{}}');
  const artifact = {
    schemaVersion: 2,
    artifactType: 'application/vnd.example.sig',
    config: empty,
    layers: [signature],
  };
  layout.name(layout.blob('image.manifest.v1+json', JSON.stringify(artifact)), {
    [refName]: 'docker.io/shop/short:sha256-1.sig',
  });
  const old = {
    mediaType: 'application/vnd.oci.artifact.manifest.v1+json',
    artifactType: 'x',
    blobs: [signature],
  };
  layout.name(layout.blob('artifact.manifest.v1+json', JSON.stringify(old)), {
    [refName]: 'docker.io/shop/art:1',
  });
  return layout.pack();
}

/** As docker save made them before version 25: several images, one name twice, short names, a layer that is a link. */
function dockerSave(): Buffer {
  const files: Record<string, string | Uint8Array> = {};
  const entry = (text: string, tags: readonly string[] | null) => {
    const layer = tar({ 'etc/hello': text });
    const diff = sha256(layer);
    files[`${diff}/layer.tar`] = layer;
    const rootfs = { type: 'layers', diff_ids: [`sha256:${diff}`] };
    const config = JSON.stringify({ architecture: 'amd64', os: 'linux', config: {}, rootfs });
    files[`${sha256(config)}.json`] = config;
    return { Config: `${sha256(config)}.json`, RepoTags: tags, Layers: [`${diff}/layer.tar`] };
  };
  const manifest = [
    entry('the older till', ['till:1']),
    entry('plain', ['busybox:1.36', 'localhost:5000/box:1']),
    entry('nameless', null),
    entry('the newer till', ['till:1']),
  ];
  return tar({ ...files, 'manifest.json': JSON.stringify(manifest), repositories: '{}' });
}

const ctr = (...args: string[]): string =>
  execFileSync(join(work, 'ctr'), ['-a', socket, '-n', 'k8s.io', ...args], {
    encoding: 'utf8',
    stdio: 'pipe',
  });

/** What `etc/hello` of an image says, from containerd's own snapshot of it. */
function hello(name: string): string {
  const mount = join(work, `mount-${++count}`);
  mkdirSync(mount);
  ctr('images', 'mount', '--platform', 'linux/amd64', name, mount);
  try {
    return readFileSync(join(mount, 'etc/hello'), 'utf8');
  } finally {
    ctr('images', 'unmount', mount);
  }
}

describe.skipIf(k3s === undefined)('with the containerd of k3s', () => {
  const two = multiPlatform();
  const wanted = [
    'registry.example.com:5000/shop/two:1',
    `registry.example.com:5000/shop/two:9@${two.digest}`,
    'docker.io/shop/short:2',
    'docker.io/library/till:1',
    'docker.io/library/busybox:1.36',
    'localhost:5000/box:1',
  ];
  const result = join(work, 'result');

  beforeAll(async () => {
    for (const name of ['containerd', 'ctr']) symlinkSync(k3s ?? '', join(work, name));
    const lines = [
      'version = 3',
      `root = "${work}/root"`,
      `state = "${work}/state"`,
      '[grpc]',
      `address = "${socket}"`,
    ];
    writeFileSync(
      join(work, 'config.toml'),
      `${lines.join('\n')}\n`.replace('[grpc]', 'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]'),
    );
    containerd = spawn(join(work, 'containerd'), ['-c', join(work, 'config.toml')], { stdio: 'ignore' });
    for (let tries = 0; !existsSync(socket) && tries < 300; tries++) await setTimeout(100);
    mkdirSync(result);
    const inputs = {
      'two.tar.zst': execFileSync('zstd', ['-qc'], { input: two.bytes }),
      'mixture.tar': mixture(),
      'till.tar.gz': gzipSync(dockerSave()),
    };
    for (const [name, bytes] of Object.entries(inputs)) writeFileSync(join(work, name), bytes);
    const names = Object.keys(inputs);
    await images.run(
      {
        architecture: 'amd64',
        archives: names,
        wanted: wanted.map((name) => ({ name, by: 'app shop' })),
        whole: [],
        disabled: [],
      },
      Object.fromEntries(names.map((name) => [name, join(work, name)])),
      workshopIn(result),
    );
  }, 120_000);

  afterAll(async () => {
    containerd?.kill('SIGTERM');
    await setTimeout(500);
    // It leaves mounts of snapshots behind.
    const mounts = readFileSync('/proc/mounts', 'utf8')
      .split('\n')
      .map((line) => line.split(' ')[1] ?? '');
    for (const mount of mounts.filter((path) => path.startsWith(work)).reverse())
      execFileSync('umount', [mount]);
    rmSync(work, { recursive: true, force: true });
  });

  it('imports all that was wanted, under the names that the kubelet asks for, and nothing else', () => {
    for (const name of readdirSync(result).filter((each) => each.endsWith('.zst'))) {
      const plain = join(work, 'plain.tar');
      execFileSync('zstd', ['-dqf', '-o', plain, join(result, name)]);
      // As k3s does: every platform, and a part that is missing is an error.
      ctr('images', 'import', '--all-platforms', plain);
    }
    const found = ctr('images', 'ls', '-q').trim().split('\n').sort();
    expect(found).toEqual(wanted.map((name) => name.replace(':9@', '@')).sort());
  });

  it.each([
    ['registry.example.com:5000/shop/two:1', 'two platforms, amd64'],
    [`registry.example.com:5000/shop/two@${two.digest}`, 'two platforms, amd64'],
    ['docker.io/shop/short:2', 'short name'],
    ['docker.io/library/till:1', 'the newer till'],
    ['docker.io/library/busybox:1.36', 'plain'],
  ])('unpacks %s', (name, text) => {
    expect(hello(name)).toBe(text);
  });

  it('would not take the archives as they came: a platform lacks, and short names stay short', () => {
    const take = (name: string, bytes: Buffer) => {
      writeFileSync(join(work, name), bytes);
      return ctr('images', 'import', '--all-platforms', '--no-unpack', join(work, name));
    };
    expect(() => take('two.tar', two.bytes)).toThrow(/not found/);
    take('mixture.tar', mixture());
    expect(ctr('images', 'ls', '-q').split('\n')).toContain('shop/short:2');
  });
});
