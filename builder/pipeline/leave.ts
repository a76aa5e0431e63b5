// What leaves a build beside the images: block maps, packed images, and the papers that close it.
import { isAbsolute, relative } from 'node:path';
import { stringify } from 'yaml';
import { type ProgramName, programOf, run } from '../../formats/programs.ts';
import type { Lock } from '../artifacts/lock.ts';
import { version } from '../installation.ts';
import type { LoadedProfile } from '../profile/load.ts';
import type { Output } from '../profile/schema/base.ts';
import { isSecret } from '../profile/secrets.ts';
import { bmap } from '../stages/bmap.ts';
import { digest } from '../stages/digest.ts';
import { manifest } from '../stages/manifest.ts';
import { zip } from '../stages/zip.ts';
import { zst } from '../stages/zst.ts';
import type { Budget } from './budget.ts';
import { type Manifest, stageOf } from './manifest.ts';
import { OutputFolder } from './output.ts';
import type { BoardPlan } from './plan.ts';
import { digestOfValue } from './results.ts';
import type { Input, Runner, StageRecord } from './runner.ts';

/** Outputs that are files of each device, and what they are called behind the host name. */
const endings = { image: '.img', zip: '.img.zip', zst: '.img.zst', bmap: '.img.bmap' } as const;

/** Zip is for everybody's flasher: small. Zstd is for the impatient. */
const levels = { zip: 6, zst: 3 } as const;

/** The files of a device, the one to flash first. */
export function filesOf(hostname: string, outputs: readonly Output[]): string[] {
  return Object.entries(endings).flatMap(([output, ending]) => {
    return outputs.some((wanted) => wanted === output) ? [`${hostname}${ending}`] : [];
  });
}

/** The part of the output folder that an output of a board is; see `OutputFolder`. */
export function outputPart(board: string, output: Output): string {
  return output === 'image' ? board : `${board}-${output}`;
}

export interface Leaving {
  readonly plan: BoardPlan;
  readonly loaded: LoadedProfile;
  readonly runner: Runner;
  /** Where files leave by. */
  readonly folder: string;
  /** Where packed pieces are kept from build to build. */
  readonly chunks: string;
  readonly disk: Input;
  readonly epoch: number;
  readonly tools: Tools;
}

/** Makes the outputs of one board that the profile names, but for the images themselves; gives what holds their digests. */
export async function pack({
  plan,
  loaded,
  runner,
  folder,
  chunks,
  disk,
  epoch,
  tools,
}: Leaving): Promise<Record<`sums ${string}`, Input>> {
  const { outputs, site, disk: medium } = loaded.profile;
  const board = plan.board.name;
  const hostnames = plan.devices.map(({ hostname }) => hostname);
  const wanted = (output: Output) => outputs.includes(output);
  const into = (output: Output) => new OutputFolder(folder, outputPart(board, output));
  const kept = { path: chunks, digest: '' };
  const digesting = async () => ({
    [`sums ${board}`]: await runner.run(digest, { board, hostnames }, { disk }),
  });
  const mapping = async () => {
    const place = wanted('bmap') ? into('bmap') : undefined;
    const maps = await runner.run(bmap, { board, hostnames }, { disk }, place);
    if (!wanted('zip')) return {};
    const options = {
      board,
      site: site.name,
      hostnames,
      edgekiln: version,
      medium: medium.size ?? plan.board.disk,
      level: levels.zip,
      zlib: process.versions['zlib'] ?? 'unknown',
      epoch,
    };
    const inputs = { disk, bmap: maps, chunks: kept };
    return { [`sums ${board}-zip`]: await runner.run(zip, options, inputs, into('zip')) };
  };
  // Waited for before the first of them begins: stages are told in the order in which they began, in the manifest, too.
  const { zstd = 'unknown' } = await tools;
  const framing = async () => {
    const options = { board, hostnames, level: levels.zst, zstd };
    return {
      [`sums ${board}-zst`]: await runner.run(zst, options, { disk, chunks: kept }, into('zst')),
    };
  };
  // Side by side: each of them waits for something now and then.
  const making = [
    ...(wanted('image') ? [digesting()] : []),
    ...(wanted('bmap') || wanted('zip') ? [mapping()] : []),
    ...(wanted('zst') ? [framing()] : []),
  ];
  // One that fails leaves none of the others at work.
  await Promise.allSettled(making);
  return Object.assign({}, ...(await Promise.all(making)));
}

/** What one board of a build was made by. */
export interface BoardRecord {
  readonly plan: BoardPlan;
  readonly budget: Budget;
  readonly stages: readonly StageRecord[];
  /** Results that hold digests of the board's files. */
  readonly sums: Readonly<Record<`sums ${string}`, Input>>;
}

export interface Closing {
  readonly loaded: LoadedProfile;
  readonly lock: Lock;
  readonly runner: Runner;
  readonly folder: string;
  readonly boards: readonly BoardRecord[];
  readonly epoch: number;
  readonly tools: Tools;
}

/** Writes the manifest when all files are on the medium, and removes what an earlier build left and this one does not make. */
export async function close({ loaded, lock, runner, folder, boards, epoch, tools }: Closing): Promise<void> {
  const { profile } = loaded;
  const parts = boards.flatMap(({ plan }) =>
    profile.outputs.map((output) => outputPart(plan.board.name, output)),
  );
  await runner.settled();
  await OutputFolder.retire(folder, [...parts, 'manifest']);
  const devices = boards.flatMap(({ plan }) =>
    plan.devices.map(({ name, hostname, place }) => {
      return { device: name, hostname, place, board: plan.board.name, files: [] };
    }),
  );
  const contents: Manifest = {
    version: 1,
    edgekiln: version,
    site: profile.site.name,
    epoch,
    profile: digestOfValue(portable(profile, loaded.folder)),
    lock: digestOfValue(lock),
    tools: { ...(await tools) },
    packages: lock.debian.map(({ suite, architecture, install, extract }) => {
      return { suite, architecture, install: install.map(packaged), extract: extract.map(packaged) };
    }),
    artifacts: lock.files,
    boards: boards.map(({ plan, budget: { slot, data, medium }, stages }) => {
      const budget = {
        slot: slot.size,
        used: slot.used,
        image: plan.layout.size,
        growth: slot.growth,
        medium,
        data,
      };
      return { board: plan.board.name, budget, stages: stages.map(stageOf) };
    }),
    devices: devices.sort((a, b) => a.place - b.place),
  };
  const last = (board: string) => boards.find(({ plan }) => plan.board.name === board)?.stages ?? [];
  const inputs: Record<string, Input> = { folder: { path: folder, digest: '' } };
  for (const { plan, sums } of boards) {
    Object.assign(inputs, sums);
    // Every result of a board shapes its files; what names them is in the records.
    const keys = last(plan.board.name).map(({ key }) => key);
    inputs[plan.board.name] = { path: folder, digest: digestOfValue(keys) };
  }
  await runner.run(
    manifest,
    {
      manifest: contents,
      profile: stringify(portable(profile, loaded.folder)),
      files: Object.fromEntries(
        devices.map(({ device, hostname }) => [device, filesOf(hostname, profile.outputs)]),
      ),
    },
    inputs,
    new OutputFolder(folder, 'manifest'),
  );
  await runner.settled();
}

function packaged({ name, version: of, sha256 }: { name: string; version: string; sha256: string }) {
  return { name, version: of, sha256 };
}

/** Versions by name; they are asked for when a build begins, since some programs take their time to tell. */
export type Tools = Promise<Readonly<Record<string, string>>>;

/** Programs and libraries whose version may change bytes. */
export async function toolsOf({ profile }: LoadedProfile): Tools {
  return {
    node: process.versions.node,
    zlib: process.versions['zlib'] ?? 'unknown',
    ...(profile.outputs.includes('zst') ? { zstd: await versionOf('zstd') } : {}),
    ...(profile.base.kind === 'debian' ? { mmdebstrap: await versionOf('mmdebstrap') } : {}),
  };
}

async function versionOf(name: ProgramName): Promise<string> {
  const { stdout, stderr } = await run(name, programOf(name).versionArguments ?? []);
  return /\d+(\.\d+)+/.exec(stdout || stderr)?.[0] ?? 'unknown';
}

/** A profile that tells nothing of this machine and no secret: paths from the profile's folder, secrets withheld. */
function portable(value: unknown, folder: string, path: readonly (string | number)[] = []): unknown {
  if (isSecret([...path])) return 'withheld';
  if (typeof value === 'string' && isAbsolute(value) && value.startsWith(`${folder}/`))
    return relative(folder, value);
  if (Array.isArray(value)) return value.map((item, index) => portable(item, folder, [...path, index]));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, portable(item, folder, [...path, key])]),
  );
}
