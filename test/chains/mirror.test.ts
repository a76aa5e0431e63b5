// A site with k3s, images and apps from a mirror that looks like the projects' releases, built from end to end; then
// the mirror is cut, slow, lying, and gone. What it serves is made here; nothing of it is k3s or helm.
import { execFileSync, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
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
import { afterAll, beforeAll, expect, it } from 'vitest';
import { dockerFiles, ociFiles, writeTar } from '../../builder/artifacts/images/archive.fixture.ts';
import { type Behaviour, type Mirror, serve, startMirror } from '../../builder/artifacts/mirror.fixture.ts';
import { storeFolder } from '../../builder/artifacts/store.ts';
import { copyQuickstartLock } from './site.ts';

const root = join(import.meta.dirname, '../..');
const work = mkdtempSync(join(tmpdir(), 'edgekiln-mirror-'));
const output = join(work, 'output', 'kiosk');
const profile = join(work, 'kiosk.yaml');
const release = 'v1.36.4+k3s1';
const helm = 'helm-v3.18.4-linux';
/** Some megabytes that nothing compresses, so that a cut comes in the middle. */
const binary = Buffer.concat([Buffer.from('#!/bin/sh\necho "a test asset"\nexit\n'), randomBytes(4 << 20)]);

const assets = new Map<string, Buffer>();
let behave: (asset: string, content: Buffer) => Behaviour = (_, content) => serve(content);
let mirror: Mirror;

beforeAll(async () => {
  const at = (name: string): string => join(work, name);
  mkdirSync(at('assets'));
  const archive = await writeTar(
    at('assets/images.tar'),
    dockerFiles([
      { names: ['rancher/mirrored-pause:3.6'], architectures: ['amd64'], layers: ['pause'] },
      { names: ['rancher/mirrored-coredns-coredns:1.12'], architectures: ['amd64'], layers: ['dns'] },
      { names: ['rancher/klipper-lb:v0.4'], architectures: ['amd64'], layers: ['balancer '.repeat(9999)] },
    ]),
  );
  execFileSync('zstd', ['-q', archive]);
  const list =
    'docker.io/rancher/mirrored-pause:3.6\ndocker.io/rancher/mirrored-coredns-coredns:1.12\ndocker.io/rancher/klipper-lb:v0.4\n';
  publish(
    { k3s: binary, 'k3s-airgap-images-amd64.tar.zst': readFileSync(`${archive}.zst`) },
    'sha256sum-amd64.txt',
  );
  assets.set('k3s-images.txt', Buffer.from(list));
  // In helm's place, a script: it prints the one template of a chart.
  for (const kind of ['amd64', 'arm64']) {
    const tar = await writeTar(at(`assets/${helm}-${kind}.tar`), [
      [`linux-${kind}/helm`, '#!/bin/sh\ncat "$3/templates/all.yaml"\n'],
    ]);
    execFileSync('gzip', ['-n', tar]);
    publish({ [`${helm}-${kind}.tar.gz`]: readFileSync(`${tar}.gz`) }, `${helm}-${kind}.tar.gz.sha256sum`);
  }
  await writeTar(
    at('till.tar'),
    ociFiles([{ names: ['docker.io/shop/till:1'], architectures: ['amd64'], layers: ['till'] }]).files,
  );
  mkdirSync(at('chart/templates'), { recursive: true });
  writeFileSync(at('chart/Chart.yaml'), 'apiVersion: v2\nname: till\nversion: 1.0.0\n');
  writeFileSync(
    at('chart/templates/all.yaml'),
    'apiVersion: v1\nkind: Pod\nmetadata: {name: till}\nspec: {containers: [{name: till, image: "shop/till:1"}]}\n',
  );
  writeFileSync(at('prices.yaml'), 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: prices}\n');
  writeProfile();
  copyQuickstartLock(join(work, 'kiosk.lock.yaml'));
  mirror = await startMirror((request, response) => {
    const asset =
      decodeURIComponent(request.url ?? '')
        .split('/')
        .at(-1) ?? '';
    const content = assets.get(asset);
    if (content === undefined) response.writeHead(404).end();
    else behave(asset, content)(request, response);
  });
}, 120_000);

afterAll(async () => {
  await mirror.stop();
  rmSync(work, { recursive: true, force: true });
});

function publish(files: Readonly<Record<string, Buffer>>, sums: string): void {
  const lines = Object.entries(files).map(([name, content]) => {
    assets.set(name, content);
    return `${createHash('sha256').update(content).digest('hex')}  ${name}\n`;
  });
  assets.set(sums, Buffer.from(lines.join('')));
}

function writeProfile(apps = 'till: till.tar'): void {
  const [, archive] = apps.split(': ');
  writeFileSync(
    profile,
    `apiVersion: edgekiln/v1
site: {name: kiosk}
board: qemu-x86_64
k3s: {release: ${release}}
devices: [{name: alpha}]
slots: {size: 704MiB}
apps:
  - {name: till, namespace: shop, chart: {path: chart}${archive === 'none' ? '' : `, images: [${archive}]`}}
  - {name: prices, manifests: [prices.yaml]}
`,
  );
}

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The mirror is served by this process: it must not wait idly. */
function edgekiln(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  const env = {
    ...process.env,
    EDGEKILN_KEYS: join(work, 'keys'),
    EDGEKILN_K3S_MIRROR: mirror.url,
    EDGEKILN_HELM_MIRROR: mirror.url,
    ...environment,
  };
  const child = spawn(process.execPath, [join(root, 'dist/edgekiln.mjs'), ...args], { cwd: work, env });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return new Promise((resolve) => child.on('close', (status) => resolve({ status, stdout, stderr })));
}

async function succeed(...args: string[]): Promise<Ended> {
  const ended = await edgekiln(args);
  expect(`${ended.stderr}\n${ended.status}`, args.join(' ')).toMatch(/\n0$/);
  return ended;
}

const build = (...more: string[]) => edgekiln(['build', profile, '-o', join(work, 'output'), ...more]);

it('a lock that does not name the release stops the build; a new one brings it', async () => {
  const { status, stderr } = await build();
  expect(status).toBe(2);
  expect(stderr).toContain('the lock file no longer fits the profile');
  await succeed('artifacts', 'lock', profile);
  expect(readFileSync(join(work, 'kiosk.lock.yaml'), 'utf8')).toContain(
    `k3s/${release}/k3s-airgap-images-amd64.tar.zst`,
  );
});

it('an image that no archive holds stops the build, with who wants it', async () => {
  writeProfile('till: none');
  const { status, stderr } = await build();
  writeProfile();
  expect(status).toBe(2);
  expect(stderr).toContain('the image docker.io/shop/till:1 is in no archive');
  expect(stderr).toContain('wanted by app till');
});

it('the image holds k3s, its images, those of the apps, and the apps', async () => {
  await succeed('build', profile, '-o', join(work, 'output'));
  const image = join(output, 'kiosk-alpha.img');
  const inspect = async (...args: string[]) => (await succeed('inspect', image, ...args)).stdout;
  expect(await inspect('cat', '/usr/local/bin/k3s')).toMatch(/^#!\/bin\/sh\necho "a test asset"/);
  const names = [...(await inspect('ls', '/usr/lib/edgekiln/images')).matchAll(/[0-9a-f]{64}\.tar\.zst/g)];
  expect(names).toHaveLength(2);
  const app: unknown = JSON.parse(await inspect('cat', '/usr/lib/edgekiln/apps/till.json'));
  expect(app).toMatchObject({ name: 'till', namespace: 'shop', objects: [{ kind: 'Pod' }] });
  const manifest = readFileSync(join(output, 'manifest.json'), 'utf8');
  for (const asset of ['k3s', 'k3s-images.txt']) expect(manifest).toContain(`k3s/${release}/${asset}`);
}, 300_000);

it('a second build with the mirror gone needs nothing of it', async () => {
  behave = () => (_, response) => void response.destroy();
  const asked = mirror.asked.length;
  rmSync(join(work, 'output'), { recursive: true });
  const ended = await build('--offline');
  behave = (_, content) => serve(content);
  expect(`${ended.stderr}${ended.status}`).toMatch(/0$/);
  expect(mirror.asked.length).toBe(asked);
  expect(existsSync(join(output, 'kiosk-alpha.img'))).toBe(true);
}, 300_000);

/** A store of its own that lacks only what the mirror serves; `artifacts fetch` then has to bring it. */
async function fetchInto(name: string): Promise<Ended & { readonly stored: () => string[] }> {
  const store = join(work, name);
  const shelves = join(store, 'sha256');
  mkdirSync(shelves, { recursive: true });
  execFileSync('cp', ['-rl', `${join(storeFolder(), 'sha256')}/.`, shelves]);
  const mine = [...assets.values()].map((content) => createHash('sha256').update(content).digest('hex'));
  const path = (digest: string): string => join(shelves, digest.slice(0, 2), digest);
  for (const digest of mine) rmSync(path(digest), { force: true });
  const ended = await edgekiln(['artifacts', 'fetch', profile], { EDGEKILN_STORE: store });
  return { ...ended, stored: () => mine.filter((digest) => existsSync(path(digest))) };
}

it('a connection that is cut goes on where it ended', async () => {
  let cuts = 0;
  behave = (asset, content) => (request, response) => {
    if (asset !== 'k3s' || cuts === 2) return serve(content)(request, response);
    cuts += 1;
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    response.writeHead(start === 0 ? 200 : 206, {
      etag: '"1"',
      'content-length': content.length - start,
      ...(start === 0 ? {} : { 'content-range': `bytes ${start}-${content.length - 1}/${content.length}` }),
    });
    response.write(content.subarray(start, start + (1 << 20)), () => response.destroy());
  };
  const ended = await fetchInto('cut');
  expect(`${ended.stderr}${ended.status}`).toMatch(/0$/);
  expect(cuts).toBe(2);
  expect(mirror.asked.filter(({ range }) => range !== undefined).length).toBeGreaterThanOrEqual(2);
}, 120_000);

it('a slow mirror is waited for', async () => {
  behave = (asset, content) => (request, response) => {
    if (asset !== 'k3s') return serve(content)(request, response);
    response.writeHead(200, { 'content-length': content.length });
    let at = 0;
    const timer = setInterval(() => {
      response.write(content.subarray(at, at + (512 << 10)));
      at += 512 << 10;
      if (at < content.length) return;
      clearInterval(timer);
      response.end();
    }, 300);
  };
  const ended = await fetchInto('slow');
  expect(`${ended.stderr}${ended.status}`).toMatch(/0$/);
}, 120_000);

it('a mirror that lies is found out, and nothing of it is kept', async () => {
  behave = (asset, content) => {
    if (asset !== 'k3s') return serve(content);
    const forged = Buffer.from(content);
    forged.write('evil', 100);
    return serve(forged, '"2"');
  };
  const ended = await fetchInto('lie');
  expect(ended.status).toBe(5);
  expect(ended.stderr).toContain(`k3s/${release}/k3s cannot be had`);
  expect(ended.stderr).toContain('it gives another file');
  expect(ended.stored()).not.toContain(createHash('sha256').update(binary).digest('hex'));
  expect(readdirSync(join(work, 'lie', 'incoming'))).toEqual([]);
}, 120_000);

it('a mirror that is gone is exit 5, with what to do', async () => {
  behave = () => (_, response) => void response.destroy();
  const ended = await fetchInto('gone');
  expect(ended.status).toBe(5);
  expect(ended.stderr).toContain('cannot be had');
  expect(ended.stderr).toContain('edgekiln artifacts import PROFILE DIR');
}, 300_000);
