// The lock file: what an image is made of, each part by name, version and digest. It names no hosts.
import { readFile, rename, writeFile } from 'node:fs/promises';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { Failure, systemFailure } from '../../formats/errors.ts';
import { type Architecture, architectures } from './debian/apt.ts';
import { archives } from './debian/mirrors.ts';
import { sha256Schema } from './sha256.ts';

const size = z.int().positive();

const debSchema = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9+.-]+$/),
  version: z.string().min(1),
  /** `all`, or that of the set. */
  architecture: z.string().regex(/^[a-z0-9]+$/),
  archive: z.enum(archives),
  /** Below the archive's base, not percent-encoded. */
  path: z.string().regex(/^(?!\/)(?!(.*\/)?\.\.(\/|$))/),
  size,
  sha256: sha256Schema,
});

const debianSchema = z.strictObject({
  suite: z.string().regex(/^[a-z]+$/),
  architecture: z.enum(architectures),
  /** What was asked for; the set below follows from it. */
  requested: z.strictObject({
    install: z.array(z.string()),
    /** Fetched for the files in them, never installed: bootloaders. */
    extract: z.array(z.string()),
  }),
  /** The signed indexes that the set was chosen from. */
  releases: z.array(
    z.strictObject({
      archive: z.enum(archives),
      suite: z.string(),
      date: z.iso.datetime(),
      sha256: sha256Schema,
    }),
  ),
  install: z.array(debSchema),
  extract: z.array(debSchema),
});

const fileSchema = z.strictObject({
  /** Unique in a lock, such as `k3s/v1.36.4+k3s1/amd64/k3s`. */
  name: z.string().min(1),
  size,
  sha256: sha256Schema,
});

const format = 1;
const lockSchema = z.strictObject({
  format: z.literal(format),
  debian: z.array(debianSchema),
  files: z.array(fileSchema),
});

export type Deb = z.output<typeof debSchema>;
export type DebianSet = z.output<typeof debianSchema>;
export type PinnedFile = z.output<typeof fileSchema>;
export type Lock = z.output<typeof lockSchema>;

/** What a profile wants from Debian, for one architecture. */
export interface DebianRequest {
  readonly suite: string;
  readonly architecture: Architecture;
  readonly install: readonly string[];
  readonly extract: readonly string[];
}

/** `site.yaml` → `site.lock.yaml`. */
export function lockFileOf(profileFile: string): string {
  return `${profileFile.replace(/\.ya?ml$/, '')}.lock.yaml`;
}

/** The lock as text: stable order, one line an artifact, so that a diff reads well. */
export function renderLock(lock: Lock): string {
  const line = (value: object): string => {
    const fields = Object.entries(value).map(([key, field]) => `${key}: ${JSON.stringify(field)}`);
    return `{ ${fields.join(', ')} }`;
  };
  const list = (name: string, values: readonly object[], indent: string): string =>
    values.length === 0
      ? `${indent}${name}: []\n`
      : `${indent}${name}:\n${values.map((value) => `${indent}  - ${line(value)}\n`).join('')}`;
  const sets = lock.debian.map(
    (set) =>
      `  - suite: ${set.suite}\n    architecture: ${set.architecture}\n    requested:\n` +
      `      install: ${JSON.stringify(set.requested.install)}\n` +
      `      extract: ${JSON.stringify(set.requested.extract)}\n` +
      list('releases', set.releases, '    ') +
      list('install', set.install, '    ') +
      list('extract', set.extract, '    '),
  );
  const debian = sets.length === 0 ? 'debian: []\n' : `debian:\n${sets.join('')}`;
  return `# Made by edgekiln artifacts lock. Keep it with the profile; do not edit it.\nformat: ${format}\n${debian}${list('files', lock.files, '')}`;
}

/** A lock from its text; `where` is its file name for messages. */
export function parseLock(text: string, where: string): Lock {
  const broken = (why: string) =>
    new Failure('input', {
      what: 'the lock file cannot be read',
      where,
      why,
      fix: 'edgekiln artifacts lock --update PROFILE',
    });
  const document = parseDocument(text);
  const [error] = document.errors;
  if (error !== undefined) throw broken(error.message);
  let value: unknown;
  try {
    value = document.toJS();
  } catch (error) {
    throw broken(error instanceof Error ? error.message : String(error));
  }
  const head = z.looseObject({ format: z.number() }).safeParse(value);
  if (head.success && head.data.format > format) {
    throw new Failure('unsupported', {
      what: `the lock file has format ${head.data.format}`,
      where,
      why: `this edgekiln reads formats up to ${format}`,
      fix: 'use the edgekiln that made it, or make it anew: edgekiln artifacts lock --update PROFILE',
    });
  }
  const parsed = lockSchema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw broken(`${issue?.path.join('.') || 'it'}: ${issue?.message ?? 'not a lock'}`);
  }
  return parsed.data;
}

/** The lock in a file, or undefined when there is no such file. */
export async function readLock(file: string): Promise<Lock | undefined> {
  try {
    return parseLock(await readFile(file, 'utf8'), file);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw systemFailure(error, file) ?? error;
  }
}

/** Writes a lock beside and renames it. */
export async function writeLock(file: string, lock: Lock): Promise<void> {
  const temporary = `${file}.${process.pid}.tmp`;
  try {
    await writeFile(temporary, renderLock(lock));
    await rename(temporary, file);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const fix = 'copy the profile to a folder of yours; the lock belongs beside it';
    throw new Failure('io', { what: 'the lock file cannot be written', where: file, why, fix }, error);
  }
}

/** The set of a lock for a suite and architecture. */
export function debianSetOf(
  lock: Lock,
  wanted: Pick<DebianRequest, 'suite' | 'architecture'>,
): DebianSet | undefined {
  return lock.debian.find((set) => set.suite === wanted.suite && set.architecture === wanted.architecture);
}

/** What a profile asks for that the lock does not answer, in words; empty when the lock covers it exactly. */
export function uncovered(lock: Lock, requests: readonly DebianRequest[]): string[] {
  return requests.flatMap((request) => {
    const place = `${request.suite} ${request.architecture}`;
    const set = debianSetOf(lock, request);
    if (set === undefined) return [`${place} is not locked`];
    return (['install', 'extract'] as const).flatMap((use) => {
      const now = new Set(request[use]);
      const then = new Set(set.requested[use]);
      const added = [...now].filter((name) => !then.has(name)).sort();
      const removed = [...then].filter((name) => !now.has(name)).sort();
      return [
        ...(added.length === 0 ? [] : [`${place}: ${use} now has ${added.join(', ')}`]),
        ...(removed.length === 0 ? [] : [`${place}: ${use} no longer has ${removed.join(', ')}`]),
      ];
    });
  });
}

/** The same for files from outside, by their names in the lock. */
export function uncoveredFiles(lock: Lock, wanted: readonly string[]): string[] {
  const locked = lock.files.map((file) => file.name);
  return [
    ...wanted.filter((name) => !locked.includes(name)).map((name) => `${name} is not locked`),
    ...locked.filter((name) => !wanted.includes(name)).map((name) => `${name} is no longer wanted`),
  ];
}

/** The newest date of the signed indexes, in seconds since 1970: a good SOURCE_DATE_EPOCH. */
export function epochOf(set: DebianSet): number {
  return Math.max(...set.releases.map((release) => Date.parse(release.date) / 1000));
}
