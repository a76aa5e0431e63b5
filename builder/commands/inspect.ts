// edgekiln inspect IMAGE [ls|cat PATH]
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Failure } from '../../formats/errors.ts';
import { factsOf, type ImageFacts } from '../image/facts.ts';
import { DiskImage } from '../image/open.ts';
import { realPath } from '../image/path.ts';
import { withUnpacked } from '../image/unpack.ts';
import { manifestFile, parseManifest } from '../pipeline/manifest.ts';
import { bytesText } from '../pipeline/reporters.ts';
import type { Entry } from '../tree/entry.ts';
import type { Result, Verb } from './frame.ts';

export const verb: Verb = {
  examples: [
    'edgekiln inspect output/shop/shop-alpha.img',
    'edgekiln inspect output/shop/shop-alpha.img ls /etc/edgekiln',
    'edgekiln inspect output/shop/shop-alpha.img cat /etc/os-release',
    'edgekiln inspect output/shop/shop-alpha.img ls EFI --partition esp',
  ],
  register(command, act) {
    command
      .argument('<image>', 'a .img file, or one packed as .zip or .zst')
      .argument('[action]', 'ls or cat; left out: what the image is')
      .argument('[path]', 'a path in the partition')
      .option('--partition <name>', 'where the path is: a, b (slots) or esp', 'a')
      .action(
        act(
          async (
            session,
            file: string,
            action: string | undefined,
            path: string | undefined,
            given: Given,
          ) => {
            if (action !== undefined && action !== 'ls' && (action !== 'cat' || path === undefined)) {
              throw new Failure('input', {
                what: action === 'cat' ? 'cat needs a path' : `${action} is nothing to do with an image`,
                fix: 'edgekiln inspect IMAGE [ls PATH | cat PATH]',
              });
            }
            return withUnpacked(file, session.signal, (plain) => {
              const image = new DiskImage(plain, file);
              if (action === undefined) return whole(image);
              return action === 'ls'
                ? list(image, given.partition, path ?? '/')
                : content(image, given.partition, path ?? '/');
            });
          },
        ),
      );
  },
};

interface Given {
  readonly partition: string;
}

async function whole(image: DiskImage): Promise<Result> {
  const facts = factsOf(image);
  const built = await listed(image.shown);
  return { text: describe(facts, built), data: { version: 1, ...facts, built } };
}

/** What the manifest beside an image says of it. */
async function listed(file: string) {
  const path = join(dirname(file), manifestFile);
  if (!existsSync(path)) return undefined;
  const manifest = parseManifest(await readFile(path, 'utf8'), path);
  const device = manifest.devices.find(({ files }) => files.some(({ name }) => name === basename(file)));
  if (device === undefined) return undefined;
  return {
    profile: manifest.profile,
    lock: manifest.lock,
    edgekiln: manifest.edgekiln,
    files: device.files,
    stages: manifest.boards.find(({ board }) => board === device.board)?.stages ?? [],
  };
}

function describe(facts: ImageFacts, built: Awaited<ReturnType<typeof listed>>): string {
  const { stamp, slots } = facts;
  const lines = [`${facts.file}: ${bytesText(facts.size)}`, `disk       ${facts.disk}`];
  if (facts.table === 'backup')
    lines.push('           the first partition table is damaged: this is its backup');
  for (const { number, name, start, size } of facts.partitions)
    lines.push(`  p${number} ${name.padEnd(8)} at ${bytesText(start)}, ${bytesText(size)}`);
  if (stamp.valid) {
    const { device, site, place, hostname, flash, slot } = stamp.stamp;
    lines.push(
      `stamp      device ${device} at site ${site}, place ${place}, host name ${hostname}`,
      `           flash ${flash}, signed by the site's key in slot A`,
      `           slot A is stamped as ${slot.digest}`,
    );
  } else lines.push(`stamp      ${stamp.why}`);
  for (const [index, state] of facts.bootState.entries())
    lines.push(`boot ${index}     ${typeof state === 'string' ? state : JSON.stringify(state)}`);
  for (const [name, slot] of Object.entries(slots)) {
    if (typeof slot === 'string') {
      lines.push(`slot ${name.toUpperCase()}     ${slot}`);
      continue;
    }
    const { label, uuid, size, free, inodes, freeInodes, made } = slot;
    lines.push(
      `slot ${name.toUpperCase()}     ext4 ${label}, ${uuid}`,
      `           ${bytesText(size - free)} of ${bytesText(size)} used, ${inodes - freeInodes} of ${inodes} inodes`,
    );
    for (const [key, value] of Object.entries(made ?? {}))
      if (key !== 'version') lines.push(`           ${key.padEnd(8)} ${String(value)}`);
  }
  if (built !== undefined) {
    lines.push(`profile    ${built.profile}`, `lock       ${built.lock}`);
    for (const { name, sha256 } of built.files) lines.push(`sha256     ${sha256}  ${name}`);
    for (const { stage, key } of built.stages) lines.push(`stage      ${stage.padEnd(8)} ${key}`);
  }
  return lines.join('\n');
}

function openPartition(image: DiskImage, name: string) {
  if (name === 'a' || name === 'b') return image.slot(name);
  if (name === 'esp') return image.esp();
  throw new Failure('input', {
    what: `there is no partition ${name} to look into`,
    fix: '--partition a, b or esp',
  });
}

function list(image: DiskImage, partition: string, path: string): Result {
  const reader = openPartition(image, partition);
  try {
    const real = realPath(reader, path);
    const folder = real === undefined ? undefined : reader.stat(real);
    const entries = [];
    if (real !== undefined && folder?.kind === 'directory') {
      const before = real === '' ? '' : `${real}/`;
      for (const entry of reader.entries()) {
        const name = entry.path.startsWith(before) ? entry.path.slice(before.length) : '';
        if (name !== '' && !name.includes('/')) entries.push({ ...plain(entry), name });
      }
    } else {
      const found = reader.stat(path);
      if (found === undefined) throw absent(image, path);
      entries.push({ ...plain(found), name: clean(path) });
    }
    return { text: entries.map(lineOf).join('\n'), data: { version: 1, path, entries } };
  } finally {
    reader.close();
  }
}

function content(image: DiskImage, partition: string, path: string): Result {
  const reader = openPartition(image, partition);
  try {
    const real = realPath(reader, path);
    const found = real === undefined ? undefined : reader.stat(real);
    if (real === undefined || found === undefined) throw absent(image, path);
    if (found.kind !== 'file') {
      throw new Failure('input', {
        what: `/${clean(path)} is a ${found.kind}, not a file`,
        where: image.shown,
        fix: `edgekiln inspect ${image.shown} ls /${clean(path)}`,
      });
    }
    const bytes = reader.read(real);
    return {
      raw: bytes,
      text: '',
      data: { version: 1, path, size: bytes.length, base64: bytes.toString('base64') },
    };
  } finally {
    reader.close();
  }
}

function clean(path: string): string {
  return path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/');
}

function absent(image: DiskImage, path: string): Failure {
  const fix = `edgekiln inspect ${image.shown} ls / shows what there is`;
  return new Failure('input', { what: `there is no /${clean(path)} in it`, where: image.shown, fix });
}

function plain(entry: Entry) {
  const { kind, mode, uid, gid, mtime } = entry;
  return {
    kind,
    mode: mode.toString(8).padStart(4, '0'),
    uid,
    gid,
    mtime,
    ...(entry.kind === 'file' ? { size: entry.size } : {}),
    ...('target' in entry ? { target: entry.target } : {}),
  };
}

function lineOf(entry: ReturnType<typeof plain> & { readonly name: string }): string {
  const { kind, mode, uid, gid, size, target, name } = entry;
  const to = target === undefined ? '' : ` -> ${target}`;
  return `${kind.padEnd(9)} ${mode} ${`${uid}:${gid}`.padEnd(9)} ${String(size ?? '-').padStart(10)} ${name}${to}`;
}
