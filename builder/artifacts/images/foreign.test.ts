// Archives that skopeo made are read and cut here, and what is left is read by skopeo again.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { writeTar } from './archive.fixture.ts';
import { type ImageArchive, readImageArchive } from './archive.ts';
import { type Chosen, trimArchive } from './trim.ts';

const folder = mkdtempSync(join(tmpdir(), 'edgekiln-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const skopeo = (...args: string[]) =>
  execFileSync('skopeo', ['--insecure-policy', ...args], { cwd: folder, encoding: 'utf8', stdio: 'pipe' });
const there = spawnSync('skopeo', ['--version']).status === 0;

/** An OCI layout in a folder, with one image of one layer. */
async function writeImage(name: string): Promise<void> {
  const root = join(folder, name);
  mkdirSync(join(root, 'blobs', 'sha256'), { recursive: true });
  const blob = (mediaType: string, bytes: Buffer | string) => {
    const digest = createHash('sha256').update(bytes).digest('hex');
    writeFileSync(join(root, 'blobs', 'sha256', digest), bytes);
    return {
      mediaType: `application/vnd.oci.image.${mediaType}`,
      digest: `sha256:${digest}`,
      size: Buffer.byteLength(bytes),
    };
  };
  const tar = await writeTar(join(folder, `${name}-layer.tar`), [['hello', `hello from ${name}`]]);
  const layer = blob('layer.v1.tar', execFileSync('cat', [tar]));
  const rootfs = { type: 'layers', diff_ids: [layer.digest] };
  const config = blob(
    'config.v1+json',
    JSON.stringify({ architecture: 'amd64', os: 'linux', config: {}, rootfs }),
  );
  const manifest = blob('manifest.v1+json', JSON.stringify({ schemaVersion: 2, config, layers: [layer] }));
  writeFileSync(join(root, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  const annotations = { 'org.opencontainers.image.ref.name': `docker.io/shop/${name}:1` };
  writeFileSync(
    join(root, 'index.json'),
    JSON.stringify({ schemaVersion: 2, manifests: [{ ...manifest, annotations }] }),
  );
}

/** All that is in an archive for amd64. */
function chosenOf({ images }: ImageArchive): Chosen[] {
  return images.flatMap(({ names, platforms }) => {
    const platform = platforms.get('amd64');
    return platform === undefined ? [] : [{ names, platform }];
  });
}

describe.skipIf(!there)('with skopeo', () => {
  beforeAll(async () => {
    for (const name of ['web', 'till']) await writeImage(name);
  });

  test('a docker archive', async () => {
    for (const name of ['web', 'till']) {
      const file = `${name}-docker.tar`;
      skopeo('copy', `oci:${name}`, `docker-archive:${file}:docker.io/shop/${name}:1`);
      const archive = readImageArchive(join(folder, file));
      expect(archive.layout).toBe('docker');
      expect(archive.images.map(({ names, platforms }) => [names, [...platforms.keys()]])).toEqual([
        [[`docker.io/shop/${name}:1`], ['amd64']],
      ]);
      await trimArchive(archive, chosenOf(archive), join(folder, `${name}-cut.tar`));
      expect(statSync(join(folder, `${name}-cut.tar`)).size).toBeGreaterThan(2048);
      const seen = (each: string) =>
        JSON.parse(skopeo('inspect', '--config', `docker-archive:${each}`)).rootfs.diff_ids;
      expect(seen(`${name}-cut.tar`)).toEqual(seen(file));
      // A copy reads and compares every layer.
      skopeo('copy', `docker-archive:${name}-cut.tar`, `oci:${name}-again`);
    }
  });

  test('an OCI archive', async () => {
    const name = 'docker.io/shop/web:1';
    skopeo('copy', `oci:web:${name}`, `oci-archive:web-oci.tar:${name}`);
    const archive = readImageArchive(join(folder, 'web-oci.tar'));
    expect(archive.images.map((image) => image.names)).toEqual([[name]]);
    await trimArchive(archive, chosenOf(archive), join(folder, 'web-oci-cut.tar'));
    const digest = JSON.parse(skopeo('inspect', `oci-archive:web-oci-cut.tar:${name}`)).Digest;
    expect(digest).toBe(archive.images[0]?.digest);
    skopeo('copy', `oci-archive:web-oci-cut.tar:${name}`, 'dir:web-dir');
  });
});
