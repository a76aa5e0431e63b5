// What leaves a build, read by the tools of others; and the verbs that look at it.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inflateRawSync } from 'node:zlib';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { DiskImage } from '../../builder/image/open.ts';
import { parseManifest } from '../../builder/pipeline/manifest.ts';
import { copyQuickstartLock } from './site.ts';

const root = join(import.meta.dirname, '../..');
const work = mkdtempSync(join(tmpdir(), 'edgekiln-outputs-'));
const output = join(work, 'output', 'bakery');
const profile = join(work, 'bakery.yaml');
const image = join(output, 'bakery-alpha.img');

const text = (outputs: string, more = '') => `apiVersion: edgekiln/v1
site: {name: bakery}
board: qemu-x86_64
k3s: {standIn: true}
devices: [{name: alpha}, {name: beta}]
slots: {size: 640MiB}
outputs: [${outputs}]
${more}`;

function edgekiln(args: readonly string[], exit = 0): { stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'dist/edgekiln.mjs'), ...args], {
    encoding: 'utf8',
    cwd: work,
    env: { ...process.env, EDGEKILN_KEYS: join(work, 'keys') },
    maxBuffer: 1 << 28,
  });
  expect(`${stderr}${status}`, args.join(' ')).toMatch(new RegExp(`(^|\\D)${exit}$`));
  return { stdout, stderr };
}

const build = (...more: string[]) => edgekiln(['build', profile, '-o', join(work, 'output'), ...more]);

/** Writes `bytes` at a place, and gives back what was there. */
function poke(file: string, at: number, bytes: Buffer): Buffer {
  const descriptor = openSync(file, 'r+');
  const former = Buffer.alloc(bytes.length);
  readSync(descriptor, former, 0, former.length, at);
  writeSync(descriptor, bytes, 0, bytes.length, at);
  closeSync(descriptor);
  return former;
}

beforeAll(() => {
  copyQuickstartLock(join(work, 'bakery.lock.yaml'));
  writeFileSync(profile, text('image, zip, zst, bmap'));
  build();
}, 600_000);

afterAll(() => rmSync(work, { recursive: true, force: true }));

it('bmaptool copies by our block map, from the image and from the packed one', () => {
  for (const from of [image, `${image}.zst`]) {
    const copy = join(work, 'copy.img');
    execFileSync('bmaptool', ['copy', '--bmap', `${image}.bmap`, from, copy], { stdio: 'pipe' });
    execFileSync('cmp', [copy, image]);
    rmSync(copy);
  }
});

it('unzip, zstd and sha256sum accept what there is', () => {
  execFileSync('unzip', ['-tq', `${image}.zip`], { stdio: 'pipe' });
  execFileSync('zstd', ['-tq', `${image}.zst`]);
  execFileSync('sha256sum', ['-c', '--quiet', 'SHA256SUMS'], { cwd: output });
});

it('a reader that takes the largest entry of the zip, as balenaEtcher does, finds the image and its papers', () => {
  const entries = readZip(`${image}.zip`);
  const largest = [...entries].sort((a, b) => b.size - a.size)[0];
  expect(largest?.name).toBe('bakery-alpha.img');
  expect(largest?.size).toBe(statSync(image).size);
  const unpacked = join(work, 'unpacked.img');
  execFileSync('sh', ['-c', 'unzip -p "$1" "$2" > "$3"', 'sh', `${image}.zip`, 'bakery-alpha.img', unpacked]);
  execFileSync('cmp', [unpacked, image]);
  rmSync(unpacked);
  const meta = (name: string) =>
    entries
      .find((entry) => entry.name === name)
      ?.content()
      ?.toString('utf8') ?? '';
  expect(meta('.meta/image.bmap')).toBe(readFileSync(`${image}.bmap`, 'utf8'));
  expect(JSON.parse(meta('.meta/manifest.json'))).toMatchObject({ name: 'bakery-alpha (site bakery)' });
});

it('the manifest names every file with its digest, every package, and no secret', () => {
  const file = join(output, 'manifest.json');
  const manifest = parseManifest(readFileSync(file, 'utf8'), file);
  expect(manifest.devices.map(({ device, files }) => [device, files.length])).toEqual([
    ['alpha', 4],
    ['beta', 4],
  ]);
  const zip = manifest.devices[0]?.files.find(({ name }) => name.endsWith('.zip'));
  expect(zip?.sha256).toBe(
    createHash('sha256')
      .update(readFileSync(`${image}.zip`))
      .digest('hex'),
  );
  expect(manifest.packages[0]?.install.some(({ name }) => name === 'nodejs')).toBe(true);
  const secret = new DiskImage(image).secretStamp().deviceKey;
  for (const name of ['manifest.json', 'profile.resolved.yaml'])
    expect(readFileSync(join(output, name), 'utf8')).not.toContain(secret);
});

it('packed images are looked into as well', () => {
  for (const kind of ['zip', 'zst']) {
    const packed = `${image}.${kind}`;
    expect(edgekiln(['inspect', packed, 'cat', '/etc/os-release']).stdout).toContain('Debian GNU/Linux 13');
    expect(JSON.parse(edgekiln(['inspect', packed, '--json']).stdout)).toMatchObject({
      file: packed,
      stamp: { valid: true },
    });
    expect(edgekiln(['verify', packed]).stdout).toContain('slot A is what the stamp names');
  }
});

it('a second build does nothing; another set of outputs removes what is not made any more', () => {
  expect(build('--progress=plain').stderr).not.toMatch(/^(disk|zip|zst|manifest) +\d/m);
  writeFileSync(profile, text('image, bmap'));
  build();
  expect(readdirSync(output).filter((name) => /zip|zst/.test(name))).toEqual([]);
  execFileSync('sha256sum', ['-c', '--quiet', 'SHA256SUMS'], { cwd: output });
});

it('progress as JSON is one object a line', () => {
  const { stderr } = build('--progress=json');
  const events = stderr
    .trim()
    .split('\n')
    .map((line): unknown => JSON.parse(line));
  expect(events).toContainEqual(expect.objectContaining({ version: 1, event: 'finished', stage: 'disk' }));
});

it('inspect tells what an image is, lists and shows files, and never the device key', () => {
  const { stdout } = edgekiln(['inspect', image, '--json']);
  expect(JSON.parse(stdout)).toMatchObject({
    version: 1,
    stamp: { valid: true, stamp: { device: 'alpha', site: 'bakery', place: 1 } },
    slots: { a: { label: 'edgekiln-a', made: { site: 'bakery', board: 'qemu-x86_64' } } },
  });
  expect(stdout).not.toContain(new DiskImage(image).secretStamp().deviceKey);
  expect(edgekiln(['inspect', image, 'ls', '/etc/edgekiln']).stdout).toContain('agent.json');
  expect(edgekiln(['inspect', image, 'cat', '/etc/os-release']).stdout).toContain('Debian GNU/Linux 13');
  const { start, size } = new DiskImage(image).partition('slot-a');
  const slot = join(work, 'slot.ext4');
  execFileSync('sh', [
    '-c',
    'dd if="$1" of="$2" bs=1M skip=$3 count=$4 conv=sparse status=none',
    'sh',
    image,
    slot,
    String(start / 2 ** 20),
    String(size / 2 ** 20),
  ]);
  const node = execFileSync('debugfs', ['-R', 'cat /usr/bin/node', slot], {
    maxBuffer: 1 << 28,
    stdio: 'pipe',
  });
  const ours = spawnSync(
    process.execPath,
    [join(root, 'dist/edgekiln.mjs'), 'inspect', image, 'cat', '/usr/bin/node'],
    { maxBuffer: 1 << 28 },
  ).stdout;
  expect(ours.equals(node)).toBe(true);
  rmSync(slot);
  expect(edgekiln(['inspect', image, 'cat', '/nothing'], 2).stderr).toContain('there is no /nothing in it');
  expect(edgekiln(['inspect', `${image}.bmap`], 2).stderr).toContain(
    'this is not an image that edgekiln made',
  );
});

it('verify is content with a good build and names each damage', () => {
  expect(edgekiln(['verify', output]).stdout).toContain('all is as it was built');
  const slot = new DiskImage(image).slot('a');
  const entry = slot.stat('etc/edgekiln/agent.json');
  slot.close();
  const bytes = entry?.kind === 'file' ? entry.segments[0]?.bytes : undefined;
  const at = bytes?.at === 'file' ? bytes.offset : 0;
  const former = poke(image, at, Buffer.from('XXXX'));
  const { stderr } = edgekiln(['verify', output], 2);
  expect(stderr).toContain('bakery-alpha.img is not what was built');
  expect(stderr).toMatch(/bytes \d+ to \d+ are not what was built \(slot-a/);
  expect(stderr).toContain('slot A is not what the stamp names');
  expect(stderr).not.toContain('bakery-beta');
  poke(image, at, former);
  const stamp = poke(image, 3 * 2 ** 20 + 1100, Buffer.from('forged'));
  expect(edgekiln(['verify', image], 2).stderr).toContain("its signature is not by this site's key");
  poke(image, 3 * 2 ** 20 + 1100, stamp);
  edgekiln(['verify', image]);
});

it('stamp makes the very image that build makes for another device', () => {
  const copy = join(work, 'beta.img');
  edgekiln(['stamp', image, '--device', 'beta', '--profile', profile, '-o', copy]);
  execFileSync('cmp', [copy, join(output, 'bakery-beta.img')]);
  rmSync(copy);
  const refused = edgekiln(['stamp', image, '--device', 'delta', '--profile', profile, '-o', copy], 2).stderr;
  expect(refused).toContain('the profile has no device delta');
});

it('diff says which stage changed and why, and which file of the slot', () => {
  const before = join(work, 'before');
  mkdirSync(before);
  execFileSync('cp', ['--sparse=always', '-r', `${output}/.`, before]);
  expect(edgekiln(['diff', before, output, '--exit-code']).stdout).toBe('no difference\n');
  writeFileSync(profile, text('image, bmap', 'persist: [{kind: dir, path: /srv/till}]\n'));
  build();
  const { stdout } = edgekiln(['diff', before, output, '--exit-code'], 1);
  expect(stdout).toMatch(/^stage tree of qemu-x86_64: option persist/m);
  expect(stdout).toMatch(/^stage slot of qemu-x86_64: option made, input tree$/m);
  expect(stdout).toMatch(/^changed \/etc\/edgekiln\/persist\.conf: size \d+ → \d+$/m);
  expect(stdout).not.toMatch(/os-release|^package/m);
});

it('two builds from scratch give the same bytes, under another umask and time zone', () => {
  const single = text('image, zip').replace(', {name: beta}', '');
  writeFileSync(profile, single);
  expect(edgekiln(['build', profile, '--check']).stdout).toMatch(/^the same twice: 7 files, /);
}, 1_200_000);

it('SOURCE_DATE_EPOCH that is no number is refused', () => {
  const { status, stderr } = spawnSync(
    process.execPath,
    [join(root, 'dist/edgekiln.mjs'), 'build', profile],
    {
      encoding: 'utf8',
      env: { ...process.env, SOURCE_DATE_EPOCH: 'yesterday' },
    },
  );
  expect([status, stderr.split('\n')[0]]).toEqual([2, 'SOURCE_DATE_EPOCH is yesterday']);
});

interface Found {
  readonly name: string;
  readonly size: number;
  content(): Buffer | undefined;
}

/** Reads a zip by its directory, as random-access readers do; zip64 sizes too. */
function readZip(file: string): Found[] {
  const bytes = readFileSync(file);
  const end = bytes.length - 22;
  expect(bytes.readUInt32LE(end)).toBe(0x06054b50);
  const entries: Found[] = [];
  let at = bytes.readUInt32LE(end + 16);
  for (let left = bytes.readUInt16LE(end + 10); left > 0; left--) {
    expect(bytes.readUInt32LE(at)).toBe(0x02014b50);
    const [nameLength, extraLength, method] = [
      bytes.readUInt16LE(at + 28),
      bytes.readUInt16LE(at + 30),
      bytes.readUInt16LE(at + 10),
    ];
    const name = bytes.toString('utf8', at + 46, at + 46 + nameLength);
    const extra = at + 46 + nameLength;
    const wide = bytes.readUInt32LE(at + 24) === 0xffffffff;
    const size = wide ? Number(bytes.readBigUInt64LE(extra + 4)) : bytes.readUInt32LE(at + 24);
    const packed = wide ? Number(bytes.readBigUInt64LE(extra + 12)) : bytes.readUInt32LE(at + 20);
    const local = bytes.readUInt32LE(at + 42);
    const data = local + 30 + bytes.readUInt16LE(local + 26) + bytes.readUInt16LE(local + 28);
    const stored = bytes.subarray(data, data + packed);
    entries.push({
      name,
      size,
      content: () => (size > 1e8 ? undefined : method === 0 ? stored : inflateRawSync(stored)),
    });
    at += 46 + nameLength + extraLength;
  }
  return entries;
}
