// The folder that a build's files leave by. Files appear by renames, what they replace is only what an earlier build of
// edgekiln put there, and a record beside them tells which build they are of.
import {
  access,
  chmod,
  constants,
  link,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Failure, systemFailure } from '../../formats/errors.ts';
import { attempt } from '../../formats/programs.ts';
import { onMedium } from './medium.ts';
import { partialName, sweepPartials } from './partial.ts';
import { Settling } from './settling.ts';
import { areWhole, type FileStates, statesIn } from './whole.ts';

interface BuildRecord {
  readonly version: 1;
  readonly key: string;
  /** What was touched since is not taken for the build's. */
  readonly files: FileStates;
}

/** What vouches for a whole build: gone before the first of its files changes, made again when all are there. */
const seals = ['manifest.json', 'SHA256SUMS'];

/** Files in place; the build may go on with them, and ends when they are settled. */
export interface Kept {
  readonly folder: string;
  readonly settled: Promise<void>;
}

/** Where results of the last stage are kept instead of the store. One stage has one such folder. */
export class OutputFolder {
  readonly folder: string;
  readonly #recordName: string;

  /** `part` tells apart what several stages put into one folder. */
  constructor(folder: string, part: string) {
    this.folder = folder;
    this.#recordName = `.edgekiln-${part}.json`;
  }

  /** The folder, if it still holds exactly what the build of this key put there. */
  async find(key: string): Promise<string | undefined> {
    const record = await this.#record();
    if (record?.key !== key || !(await areWhole(this.folder, record.files))) return undefined;
    return this.folder;
  }

  /**
   * Lets `make` fill a folder beside and then puts its files in place; files of an earlier build that are not made any
   * more go. The files count as the build's when they are settled.
   */
  async keep(key: string, make: (folder: string, settling: Settling) => Promise<void>): Promise<Kept> {
    const partial = join(this.folder, partialName());
    await sweepPartials(this.folder);
    await OutputFolder.make(this.folder);
    await mkdir(partial, { mode: 0o700 });
    const settling = new Settling();
    try {
      await this.#uncache();
      await make(partial, settling);
      const before = await this.#record();
      // From here to the new record the folder counts as nobody's build.
      for (const seal of seals) await rm(join(this.folder, seal), { force: true });
      await rm(join(this.folder, this.#recordName), { force: true });
      const files = await statesIn(partial);
      // Images hold the device's key: they are for their owner only.
      for (const name of Object.keys(files)) {
        if (/\.img(\.zip|\.zst)?$/.test(name)) await chmod(join(partial, name), 0o600);
        // Letting go of a large file takes its time: it is done behind. Not every filesystem has such links.
        await link(join(this.folder, name), join(partial, `old ${name}`)).catch(() => {});
        await rename(join(partial, name), join(this.folder, name));
      }
      for (const name of Object.keys(before?.files ?? {})) {
        if (!(name in files)) await rm(join(this.folder, name), { force: true });
      }
      return { folder: this.folder, settled: this.#settle(partial, settling, { version: 1, key, files }) };
    } catch (error) {
      await settling.end().catch(() => {});
      await rm(partial, { recursive: true, force: true });
      throw error;
    }
  }

  /**
   * What is replaced need not stay in memory beside what replaces it: several times a board's images, which would push
   * out what the build reads. Where the machine is a guest, new pages cost more than those let go of: a second build of
   * three images took 7.7 s without this, 6.1 s with it. Whether it works makes no other difference.
   */
  async #uncache(): Promise<void> {
    const { files = {} } = (await this.#record()) ?? {};
    const cached = Object.keys(files).map((name) => join(this.folder, name));
    await Promise.all(
      cached.map((file) =>
        attempt('dd', [`if=${file}`, 'iflag=nocache', 'count=0', 'status=none']).catch(() => {}),
      ),
    );
  }

  async #settle(partial: string, settling: Settling, record: BuildRecord): Promise<void> {
    try {
      await settling.end();
      // Images are there by now and cost nothing. What lies beside them is small: maps, digests, papers.
      const files = Object.keys(record.files).map((name) => onMedium(join(this.folder, name)));
      await Promise.all(files);
      await writeFile(join(this.folder, this.#recordName), `${JSON.stringify(record)}\n`);
      await onMedium(this.folder);
    } finally {
      await rm(partial, { recursive: true, force: true });
    }
  }

  /** Makes the folder where there is none, and refuses one that cannot be written: before the long work, too. */
  static async make(folder: string): Promise<void> {
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await access(folder, constants.W_OK);
    } catch (error) {
      const why = await obstacleTo(folder, error);
      throw new Failure(
        'io',
        {
          what: 'the output folder cannot be written',
          where: folder,
          why,
          fix: 'give another one with --output',
        },
        error,
      );
    }
  }

  /** Removes the files of parts that are made no more, such as an output that the profile names no longer. */
  static async retire(folder: string, parts: readonly string[]): Promise<void> {
    for (const name of await readdir(folder).catch(() => [])) {
      const part = /^\.edgekiln-(.+)\.json$/.exec(name)?.[1];
      if (part === undefined || parts.includes(part)) continue;
      const record = await new OutputFolder(folder, part).#record();
      for (const file of Object.keys(record?.files ?? {})) await rm(join(folder, file), { force: true });
      await rm(join(folder, name), { force: true });
    }
  }

  async #record(): Promise<BuildRecord | undefined> {
    const text = await readFile(join(this.folder, this.#recordName), 'utf8').catch(() => undefined);
    if (text === undefined) return undefined;
    try {
      const record: unknown = JSON.parse(text);
      return isRecord(record) ? record : undefined;
    } catch {
      return undefined;
    }
  }
}

/** Why a folder cannot be made or written: of a medium that is read-only, mkdir says that nothing is there. */
async function obstacleTo(folder: string, error: unknown): Promise<string> {
  const state = await stat(folder).catch(() => undefined);
  if (state?.isDirectory() === false) return `${folder} is a file`;
  const above = dirname(folder);
  const denied = await access(folder, constants.W_OK).catch((reason: unknown) => reason);
  if (isAbsent(denied) && above !== folder) return obstacleTo(above, error);
  const told = systemFailure(denied ?? error) ?? systemFailure(error);
  return told === undefined ? String(error) : `${told.message}: ${folder}`;
}

function isAbsent(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
}

function isRecord(value: unknown): value is BuildRecord {
  return (
    typeof value === 'object' &&
    value !== null &&
    'version' in value &&
    value.version === 1 &&
    'files' in value
  );
}
