// How long from a root tar to a finished disk image that is on the medium, beside genimage and a plain copy.
//
//   npm run bench:assemble [-- --rounds N] [ROOT.tar …]     also: EDGEKILN_BENCH_TAR=ROOT.tar
//
// Without a tar: a Debian 13 system (made once by mmdebstrap) and one of 100,000 small files, kept in $TMPDIR.
// Each round runs, one after another and each after a `sync`: edgekiln from the tar to the GPT image with fsync; a copy
// (cp, sync) of the mapped bytes of that image; genimage from the same tar (tar, mke2fs, vfat, the same partitions,
// sync). All are whole processes, start included. Ratios are medians over the rounds; the worse tar counts.
// Needs root for genimage: owners of files come from the unpacked tar. The last line is JSON.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { planExt4 } from '../builder/disk/ext4/plan.ts';
import { planFat } from '../builder/disk/fat/plan.ts';
import { planGpt } from '../builder/disk/gpt/plan.ts';
import { writeToFile } from '../builder/disk/output.ts';
import { indexTar } from '../builder/tree/tar.ts';
import { Tree } from '../builder/tree/tree.ts';

const MIB = 1024 ** 2;
const TIME = 1_700_000_000;
const cache = join(tmpdir(), 'edgekiln-bench');

/** The disk both sides make: ESP, slot A, slot B (empty), data (empty). */
const esp = {
  start: 4 * MIB,
  size: 64 * MIB,
  files: { 'EFI/BOOT/BOOTX64.EFI': MIB, 'EFI/edgekiln/s0.env': 1024 },
};
const slotStart = esp.start + esp.size;
const dataSize = 16 * MIB;

/** What is measured: one tar to one image. Runs in a process of its own. */
async function assemble(tar: string, image: string, slotSize: number): Promise<void> {
  const tree = new Tree();
  tree.merge(indexTar(tar));
  const boot = new Tree();
  boot.merge(
    Object.entries(esp.files).map(([path, size]) => {
      const bytes = new Uint8Array(size).fill(0x45);
      const segments = [{ offset: 0, bytes: { at: 'memory', bytes } as const }];
      return { path, kind: 'file', mode: 0o644, uid: 0, gid: 0, mtime: TIME, size, segments } as const;
    }),
  );
  const id = (name: string): Buffer => createHash('sha256').update(name).digest().subarray(0, 16);
  const guid = (name: string): string =>
    id(name)
      .toString('hex')
      .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
  const root = planExt4(tree, {
    size: slotSize,
    uuid: id('fs'),
    hashSeed: id('seed'),
    label: 'root',
    time: TIME,
  });
  const end = slotStart + 2 * slotSize;
  const disk = planGpt({
    size: end + dataSize + MIB,
    diskGuid: guid('disk'),
    partitions: [
      {
        name: 'esp',
        type: 'esp',
        guid: guid('esp'),
        start: esp.start,
        size: esp.size,
        content: planFat(boot, { size: esp.size, label: 'ESP', serial: 0x1234abcd }),
      },
      { name: 'slot-a', type: 'linux', guid: guid('a'), start: slotStart, size: slotSize, content: root },
      { name: 'slot-b', type: 'linux', guid: guid('b'), start: slotStart + slotSize, size: slotSize },
      { name: 'data', type: 'linux', guid: guid('data'), start: end, size: dataSize },
    ],
  });
  await writeToFile(disk, image);
  const mapped = disk.mapped.reduce((sum, range) => sum + range.end - range.start, 0);
  console.log(
    JSON.stringify({
      entries: tree.count,
      mapped,
      ranges: disk.mapped.length,
      rssMb: process.resourceUsage().maxRSS / 1024,
      cpuSeconds: (process.cpuUsage().user + process.cpuUsage().system) / 1e6,
    }),
  );
}

/** Room for both sides, twice of what the tar or its tree takes: small files are larger on a disk than in a tar. */
function slotSizeOf(tar: string): number {
  const tree = new Tree();
  tree.merge(indexTar(tar));
  const id = Buffer.alloc(16);
  const least = planExt4(tree, { size: { reserve: 0 }, uuid: id, hashSeed: id, label: 'root', time: TIME });
  tree.close();
  return Math.ceil((Math.max(statSync(tar).size, least.size) * 2) / (64 * MIB)) * 64 * MIB;
}

/** Runs a program to its end and gives what it said and its seconds. */
function timed(command: string, args: readonly string[], cwd: string): { seconds: number; stdout: string } {
  const start = process.hrtime.bigint();
  const result = spawnSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  if (result.status !== 0) {
    throw new Error(`${command} ${args.join(' ')} failed: ${result.error ?? result.stderr.slice(-2000)}`);
  }
  return { seconds, stdout: result.stdout };
}

/** The same disk for genimage, from the tar as well. It reads the unpacked tree where it is, without a copy. */
function genimage(tar: string, slotSize: number, inodes: number, folder: string): number {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, 'input'), { recursive: true });
  for (const [path, size] of Object.entries(esp.files)) {
    writeFileSync(join(folder, 'input', basename(path)), new Uint8Array(size).fill(0x45));
  }
  const files = Object.keys(esp.files).map((path) => `file ${path} { image = ${basename(path)} }`);
  writeFileSync(
    join(folder, 'genimage.cfg'),
    `image esp.vfat { vfat { label = "ESP" ${files.join(' ')} } size = ${esp.size} }
image root.ext4 { ext4 { use-mke2fs = true label = "root" extraargs = "-N ${inodes}" features = "^has_journal,^metadata_csum,^64bit" } size = ${slotSize} srcpath = "${join(folder, 'root')}" }
image disk.img { hdimage { partition-table-type = gpt gpt-no-backup = false }
  partition esp { offset = ${esp.start} image = esp.vfat partition-type-uuid = U }
  partition slot-a { offset = ${slotStart} image = root.ext4 partition-type-uuid = L }
  partition slot-b { offset = ${slotStart + slotSize} size = ${slotSize} partition-type-uuid = L }
  partition data { offset = ${slotStart + 2 * slotSize} size = ${dataSize} partition-type-uuid = L } }
`,
  );
  const script = [
    'mkdir root empty',
    'tar -C root --numeric-owner --xattrs --xattrs-include="*" -xpf "$1"',
    'genimage --config genimage.cfg --rootpath empty --tmppath tmp --inputpath input --outputpath images',
    'sync images/disk.img',
  ].join(' && ');
  const { seconds } = timed('sh', ['-c', script, 'sh', tar], folder);
  rmSync(folder, { recursive: true });
  return seconds;
}

/** Debian 13, as a profile would take it; made once. */
function debianTar(): string {
  const tar = join(cache, 'debian-13.tar');
  if (existsSync(tar)) return tar;
  console.error('making a Debian 13 system once, by mmdebstrap');
  const packages =
    'systemd,systemd-sysv,dbus,nodejs,linux-image-amd64,openssh-server,rauc,e2fsprogs,iproute2,nftables';
  timed('mmdebstrap', ['--variant=minbase', `--include=${packages}`, 'trixie', `${tar}.part.tar`], cache);
  if (statSync(`${tar}.part.tar`).size < 400e6) throw new Error('the Debian system is smaller than 400 MB');
  renameSync(`${tar}.part.tar`, tar);
  return tar;
}

/** 100,000 files of 0 to 8 KiB in 200 directories; made once, always the same. */
function smallFilesTar(): string {
  const tar = join(cache, 'small-files.tar');
  if (existsSync(tar)) return tar;
  const out = openSync(`${tar}.part`, 'w');
  const header = (name: string, type: string, size: number): Buffer => {
    const block = Buffer.alloc(512);
    block.write(name, 0);
    block.write(`0000755\0${'0000000\0'.repeat(2)}${size.toString(8).padStart(11, '0')}\0`, 100);
    block.write(`${TIME.toString(8).padStart(11, '0')}\0        ${type}`, 136);
    block.write('ustar\x0000', 257);
    const sum = block.reduce((total, byte) => total + byte, 0);
    block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    return block;
  };
  for (let i = 0, state = 1; i < 100_000; i++) {
    const folder = `data/directory-${String(Math.floor(i / 500)).padStart(3, '0')}`;
    if (i % 500 === 0) writeSync(out, header(`${folder}/`, '5', 0));
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    const size = (state >>> 8) % 8192;
    const content = Buffer.alloc(Math.ceil(size / 512) * 512, `${i} `).fill(0, size);
    writeSync(out, Buffer.concat([header(`${folder}/file-${i}.dat`, '0', size), content]));
  }
  writeSync(out, Buffer.alloc(1024));
  closeSync(out);
  renameSync(`${tar}.part`, tar);
  return tar;
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

interface Result {
  readonly vsGenimage: number;
  readonly vsCopy: number;
  readonly rssMb: number;
}

function measure(tar: string, program: string, rounds: number, folder: string): Result {
  const slotSize = slotSizeOf(tar);
  const image = join(folder, 'disk.img');
  const times: { own: number; copy: number; genimage: number }[] = [];
  let rssMb = 0;
  let note = '';
  for (let round = -1; round < rounds; round++) {
    // Round -1 warms the caches and is not counted.
    const clean = (): void => {
      timed('sync', [], folder);
      timed('sh', ['-c', 'cat "$1" > /dev/null', 'sh', tar], folder);
    };
    rmSync(image, { force: true });
    clean();
    const own = timed(process.execPath, [program, '--assemble', tar, image, String(slotSize)], folder);
    const said: { entries: number; mapped: number; ranges: number; rssMb: number; cpuSeconds: number } =
      JSON.parse(own.stdout);
    clean();
    const copy = timed(
      'sh',
      ['-c', 'cp --reflink=never --sparse=auto disk.img copy.img && sync copy.img'],
      folder,
    );
    rmSync(join(folder, 'copy.img'));
    clean();
    const other =
      round < 0 && rounds > 1
        ? 0
        : genimage(tar, slotSize, Math.ceil(said.entries * 1.1), join(folder, 'genimage'));
    if (round < 0) continue;
    rssMb = Math.max(rssMb, said.rssMb);
    note = `${said.entries} entries, ${(said.mapped / MIB).toFixed(0)} MiB mapped in ${said.ranges} ranges`;
    times.push({ own: own.seconds, copy: copy.seconds, genimage: other });
    console.error(
      `${basename(tar)} round ${round + 1}: edgekiln ${own.seconds.toFixed(2)} s (${said.cpuSeconds.toFixed(2)} s CPU), copy ${copy.seconds.toFixed(2)} s, genimage ${other.toFixed(2)} s`,
    );
  }
  const vsGenimage = median(times.map(({ own, genimage: other }) => other / own));
  const vsCopy = median(times.map(({ own, copy }) => own / copy));
  console.log(
    `${basename(tar)}: ${note}; ${vsGenimage.toFixed(1)} times as fast as genimage, ${vsCopy.toFixed(2)} times a copy, peak ${rssMb.toFixed(0)} MB`,
  );
  return { vsGenimage, vsCopy, rssMb };
}

async function main(args: readonly string[]): Promise<void> {
  if (args[0] === '--assemble') return assemble(args[1] ?? '', args[2] ?? '', Number(args[3]));
  const at = args.indexOf('--rounds');
  const rounds = at < 0 ? 5 : Number(args[at + 1]);
  const given = args.filter((_, i) => at < 0 || (i !== at && i !== at + 1));
  const fromEnvironment = process.env['EDGEKILN_BENCH_TAR'];
  mkdirSync(cache, { recursive: true });
  const tars = given.length > 0 ? given : [fromEnvironment ?? debianTar(), smallFilesTar()];
  const folder = mkdtempSync(join(cache, 'run-'));
  try {
    const program = join(folder, 'assemble.mjs');
    const { build } = await import('esbuild');
    await build({
      entryPoints: [fileURLToPath(import.meta.url)],
      outfile: program,
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node20',
      external: ['esbuild'],
    });
    const results = tars.map((tar) => measure(resolve(tar), program, rounds, folder));
    console.log(
      JSON.stringify({
        speedup_vs_genimage: Number(Math.min(...results.map((result) => result.vsGenimage)).toFixed(2)),
        ratio_vs_copy: Number(Math.max(...results.map((result) => result.vsCopy)).toFixed(2)),
        peak_rss_mb: Math.round(Math.max(...results.map((result) => result.rssMb))),
      }),
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

await main(process.argv.slice(2));
