// From a loaded profile to images: the one way of the data, stage after stage.
import type { KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { Failure } from '../../formats/errors.ts';
import { localesPackage } from '../artifacts/debian/packages.ts';
import { type DebianSet, epochOf, type Lock } from '../artifacts/lock.ts';
import { lockForBuild } from '../artifacts/locking.ts';
import type { Store } from '../artifacts/store.ts';
import type { Board } from '../boards/board.ts';
import { bundled, overlayFolder, version } from '../installation.ts';
import { Keyring, publicPem } from '../keys/keyring.ts';
import type { LoadedProfile } from '../profile/load.ts';
import { siteRoster } from '../site/roster.ts';
import { disk } from '../stages/disk.ts';
import { initrd } from '../stages/initrd.ts';
import { programs } from '../stages/programs.ts';
import { slot } from '../stages/slot.ts';
import { tree } from '../stages/tree.ts';
import { aloneIn } from './alone.ts';
import { readApps, siteApps } from './apps.ts';
import { makeBase } from './base.ts';
import { budgetLines, proveFits } from './budget.ts';
import {
  fileInput,
  imageBytes,
  keysDigest,
  overlayInput,
  packedBytes,
  slotBytes,
  treeFiles,
  treeOptions,
} from './contents.ts';
import { fetchAll } from './fetch.ts';
import { k3sProgram, siteImages } from './k3s.ts';
import { type BoardRecord, close, filesOf, outputPart, pack, type Tools, toolsOf } from './leave.ts';
import { OutputFolder } from './output.ts';
import { type BoardPlan, planBoards } from './plan.ts';
import { resultsFolder } from './results.ts';
import { type Input, type Reporter, Runner, type StageRecord } from './runner.ts';
import { chunksFolder } from './unused.ts';
import { warningsOf } from './warnings.ts';

export interface BuildOptions {
  readonly store: Store;
  readonly keysRoot: string;
  /** Folder that gets one folder a site. */
  readonly output: string;
  readonly offline: boolean;
  readonly reporter: Reporter;
  readonly signal: AbortSignal;
  /** Where stage results are kept; left out: in the store. */
  readonly results?: string;
  /** Seconds since 1970 for all times of the images; left out: the lock's. */
  readonly epoch?: number;
  say(line: string): void;
}

/** One flashable image. */
export interface BuiltImage {
  readonly device: string;
  readonly hostname: string;
  readonly place: number;
  readonly board: string;
  /** Absolute. */
  readonly file: string;
}

export interface Built {
  readonly folder: string;
  readonly images: readonly BuiltImage[];
  readonly stages: readonly StageRecord[];
  /** Folder of the secrets, if this build made the site's. */
  readonly newKeys: string | undefined;
  /** The images carry the stand-in instead of k3s. */
  readonly standIn: boolean;
}

/** Builds every image of a profile. */
export async function build(loaded: LoadedProfile, options: BuildOptions): Promise<Built> {
  const { profile } = loaded;
  if (loaded.unbuilt.length > 0) throw new Failure('unsupported', loaded.unbuilt);
  const plans = planBoards(loaded);
  const lock = await lockForBuild(loaded, options);
  await fetchAll(loaded, lock, options);
  const folder = join(options.output, profile.site.name);
  await OutputFolder.make(folder);
  return aloneIn(folder, options.say, () => buildAll(plans, { loaded, lock, options, folder }));
}

type Order = Pick<Work, 'loaded' | 'lock' | 'options' | 'folder'>;

async function buildAll(plans: readonly BoardPlan[], order: Order): Promise<Built> {
  const { loaded, lock, options, folder } = order;
  const { profile } = loaded;
  const keyring = new Keyring(profile.site.name, options.keysRoot);
  const { key, made } = await keyring.siteKey();
  const roster = await siteRoster(profile, keyring);
  const results = options.results ?? resultsFolder(options.store);
  const runner = new Runner({ ...options, store: results });
  const images: BuiltImage[] = [];
  const boards: BoardRecord[] = [];
  const sitePublicKey = publicPem(key);
  const tools = toolsOf(loaded);
  tools.catch(() => {}); // it is awaited in the end
  const work = { ...order, keyring, siteKey: key, sitePublicKey, roster, runner, results, tools };
  for (const plan of plans) {
    // A build that fails leaves nothing at work; what was whole by then is there for the next one.
    const made = buildBoard(plan, work).catch(async (error: unknown) => {
      await runner.settled().catch(() => {});
      throw error;
    });
    boards.push(await made);
    for (const { name, hostname, place } of plan.devices) {
      images.push({
        device: name,
        hostname,
        place,
        board: plan.board.name,
        file: join(folder, filesOf(hostname, profile.outputs)[0] ?? ''),
      });
    }
  }
  const epoch = Math.max(...plans.map(({ board }) => epochFor(debianSet(lock, board), options)));
  await close({ loaded, lock, runner, folder, boards, epoch, tools });
  return {
    folder,
    images,
    stages: runner.records,
    newKeys: made ? keyring.folder : undefined,
    standIn: profile.k3s.kind === 'standIn',
  };
}

interface Work {
  readonly loaded: LoadedProfile;
  readonly lock: Lock;
  readonly options: BuildOptions;
  readonly keyring: Keyring;
  readonly siteKey: KeyObject;
  readonly sitePublicKey: string;
  /** The roster file. */
  readonly roster: string;
  readonly runner: Runner;
  readonly folder: string;
  /** Where stage results are kept. */
  readonly results: string;
  readonly tools: Tools;
}

/** systemd would look for a virtual socket to serve ssh on, and complain where there is none. */
const kernelArguments = 'systemd.ssh_auto=no';

/** base → programs → tree → initrd → slot → disk, for the devices of one board. */
async function buildBoard(plan: BoardPlan, work: Work): Promise<BoardRecord> {
  const { board, layout } = plan;
  const { loaded, runner } = work;
  const before = runner.records.length;
  const { profile } = loaded;
  const set = debianSet(work.lock, board);
  const epoch = epochFor(set, work.options);
  const sources = { profile, architecture: set.architecture, lock: work.lock, store: work.options.store };
  const k3s = await k3sProgram(sources);
  // The gate stands before the long work: what is missing is said at once.
  const appsResult = await siteApps(sources, runner);
  const apps = await readApps(appsResult.path, profile);
  const imagesResult = await siteImages({ ...sources, apps }, runner);
  for (const line of warningsOf(profile, apps)) work.options.reporter.say('images', line);
  const archives = await imageBytes(imagesResult.path);
  // The base is not there yet: its packages take more installed than packed.
  proveFits(plan, loaded, { slot: packedBytes(set) + archives, images: archives, exact: false });
  const baseResult = await makeBase({ plan, set, loaded, runner, epoch, store: work.options.store });
  const programsResult = await runner.run(
    programs,
    { epoch },
    {
      agent: await fileInput(bundled('edgekiln-node.mjs')),
      k3s: k3s.input,
      images: imagesResult,
      apps: appsResult,
    },
  );
  const treeResult = await runner.run(
    tree,
    await treeOptions(profile, {
      k3s: { version: k3s.version, standIn: profile.k3s.kind === 'standIn' },
      siteKey: work.siteKey,
      sitePublicKey: work.sitePublicKey,
      epoch,
    }),
    {
      ...(await treeFiles(profile)),
      ...(profile.system.locale === 'C.UTF-8'
        ? {}
        : { locales: await packageInput(localesPackage, set, work) }),
      base: baseResult,
      overlay: await overlayInput('agent'),
      lan: await overlayInput('lan'),
    },
  );
  const initrdResult = await runner.run(
    initrd,
    { modules: [...board.modules], diskPreference: [...board.diskPreference], epoch },
    {
      base: baseResult,
      busybox: await packageInput('busybox-static', set, work),
      init: await fileInput(join(overlayFolder('initrd'), 'init')),
    },
  );
  const identity = [profile.site.name, board.name] as const;
  const made = {
    edgekiln: version,
    site: profile.site.name,
    board: board.name,
    base: baseResult.digest,
    programs: programsResult.digest,
    tree: treeResult.digest,
    initrd: initrdResult.digest,
  };
  const slotResult = await runner.run(
    slot,
    { size: layout.slotA.size, identity: [...identity, 'a'], kernelArguments, made, epoch },
    { base: baseResult, programs: programsResult, tree: treeResult, initrd: initrdResult },
  );
  const budget = proveFits(plan, loaded, {
    slot: await slotBytes(slotResult.path),
    images: archives,
    exact: true,
  });
  for (const line of budgetLines(budget)) work.options.reporter.say('slot', line);
  const leaves = profile.outputs.includes('image');
  const diskResult = await runner.run(
    disk,
    {
      site: profile.site.name,
      layout,
      identity: [...identity],
      shimName: board.bootloader.shimName,
      shimPath: board.bootloader.shim.path,
      grubName: board.bootloader.grubName,
      grubPath: board.bootloader.grub.path,
      arguments: board.arguments,
      devices: plan.devices.map(({ name, hostname, place }) => ({ name, hostname, place })),
      roster: work.roster,
      epoch,
    },
    {
      base: baseResult,
      programs: programsResult,
      tree: treeResult,
      slot: slotResult,
      shim: await packageInput(board.bootloader.shim.package, set, work),
      grub: await packageInput(board.bootloader.grub.package, set, work),
      keys: {
        path: work.keyring.folder,
        digest: await keysDigest(plan.devices, work.keyring, work.sitePublicKey),
      },
    },
    leaves ? new OutputFolder(work.folder, outputPart(board.name, 'image')) : undefined,
  );
  const chunks = join(work.results, chunksFolder);
  const sums = await pack({
    plan,
    loaded,
    runner,
    folder: work.folder,
    chunks,
    disk: diskResult,
    epoch,
    tools: work.tools,
  });
  return { plan, budget, stages: runner.records.slice(before), sums };
}

/** The time of everything that is made, in seconds since 1970. */
function epochFor(set: DebianSet, { epoch }: BuildOptions): number {
  return epoch ?? epochOf(set);
}

function debianSet(lock: Lock, board: Board): DebianSet {
  const set = lock.debian.find((one) => one.architecture === board.architecture);
  if (set === undefined)
    throw new Error(`the lock covers the profile and has nothing for ${board.architecture}`);
  return set;
}

/** A .deb of the lock that files are taken from. */
async function packageInput(name: string, set: DebianSet, { options }: Work): Promise<Input> {
  const deb = [...set.extract, ...set.install].find((one) => one.name === name);
  if (deb === undefined) throw new Error(`the lock covers the profile and does not name ${name}`);
  return { path: await options.store.need(deb.sha256, deb.name), digest: deb.sha256 };
}
