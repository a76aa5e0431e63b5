// Where the bytes of a device go: the slot and what it may grow by, and what piles up on data. What does not fit is
// refused before it is made, at the line of the profile that can be changed.
import { Failure, type Problem } from '../../formats/errors.ts';
import type { LoadedProfile } from '../profile/load.ts';
import type { Profile } from '../profile/profile.ts';
import type { BoardPlan } from './plan.ts';
import { mebibytes } from './reporters.ts';

/** What a build knows of the contents; early on a lower bound. Bytes. */
export interface Contents {
  /** What the slot's filesystem takes. */
  readonly slot: number;
  /** Archives of container images in the slot, compressed. */
  readonly images: number;
  /** Whether that is all, or only what is known so far. */
  readonly exact: boolean;
}

/** Bytes. */
export interface Budget {
  readonly slot: {
    readonly size: number;
    readonly used: number;
    readonly growth: number;
    /** Whether `used` is all, or the least. */
    readonly exact: boolean;
  };
  readonly data: {
    /** On the smallest medium. */
    readonly size: number;
    /** With `parts` on it, images are not removed yet. */
    readonly needs: number;
    readonly parts: Readonly<Record<string, number>>;
  };
  readonly medium: number;
}

const MiB = 1024 ** 2;
/** The next image may be larger than this one: kernels and programs grow. */
const growth = 0.25;
/** k3s unpacks itself: facts say 195 MB. */
const k3sUnpacked = 200 * MiB;
/** Of an image that is compressed by zstd: its layers in containerd's store and unpacked. */
const imported = 5;
/** etcd with its snapshots; every eligible device may hold it. */
const datastore = 512 * MiB;
/** Containers whose logs are kept. */
const containers = 30;
/** The gap behind the last partition: the second table. */
const tail = MiB;

/** The budget of a board's devices. */
export function budgetOf({ board, layout }: BoardPlan, profile: Profile, contents: Contents): Budget {
  const { limits, disk, k3s } = profile;
  const medium = disk.size ?? board.disk;
  const spare = Math.ceil(contents.slot * growth);
  const parts = {
    'next image': contents.slot + spare,
    'k3s unpacked': k3s.kind === 'standIn' ? 0 : k3sUnpacked,
    'container images': contents.images * imported,
    datastore,
    journal: limits.journal,
    'container logs': limits.containerLogs.size * limits.containerLogs.files * containers,
  };
  const sum = Object.values(parts).reduce((total, bytes) => total + bytes, 0);
  return {
    slot: { size: layout.slotA.size, used: contents.slot, growth: spare, exact: contents.exact },
    // Images are removed where more than `high` percent are full: the rest must be below it.
    data: {
      size: Math.max(0, medium - layout.data.start - tail),
      needs: Math.ceil((sum * 100) / limits.images.high),
      parts,
    },
    medium,
  };
}

/** What does not fit, by how much, at its line. */
export function overBudget(plan: BoardPlan, loaded: LoadedProfile, budget: Budget): Problem[] {
  const { slot, data, medium } = budget;
  const board = plan.board.name;
  const problems: Problem[] = [];
  const lacking = slot.used + slot.growth - slot.size;
  if (lacking > 0) {
    problems.push({
      what: `the slots of ${board} are too small: ${slot.exact ? '' : 'at least '}${mebibytes(lacking)} too little`,
      ...lineOf(plan, loaded, ['slots', 'size']),
      why: `a slot has ${mebibytes(slot.size)}; this image takes ${slot.exact ? '' : 'at least '}${mebibytes(slot.used)}, and the next one may take ${growth * 100} % more`,
      fix: `write slots: {size: ${Math.ceil((slot.used + slot.growth) / (64 * MiB)) * 64}MiB} or more, or leave something out`,
    });
  }
  // Where the slots alone are too large, they lack as well.
  const short = data.needs - (medium - plan.layout.data.start - tail);
  if (short > 0) {
    const parts = Object.entries(data.parts)
      .filter(([, bytes]) => bytes > 0)
      .map(([name, bytes]) => `${name} ${mebibytes(bytes)}`);
    const written = loaded.profile.disk.size !== undefined;
    problems.push({
      what: `two slots and data do not fit a medium of ${mebibytes(medium)}: ${mebibytes(short)} too little`,
      ...lineOf(plan, loaded, written ? ['disk', 'size'] : ['slots', 'size']),
      why: `two slots of ${mebibytes(slot.size)}, and ${mebibytes(data.needs)} for data: ${parts.join(', ')}, at most ${loaded.profile.limits.images.high} % full`,
      fix: 'make the slots or limits smaller, or use a larger medium and write disk: {size: …}',
    });
  }
  return problems;
}

/** The budget with these contents; refuses what does not fit. */
export function proveFits(plan: BoardPlan, loaded: LoadedProfile, contents: Contents): Budget {
  const budget = budgetOf(plan, loaded.profile, contents);
  const problems = overBudget(plan, loaded, budget);
  if (problems.length > 0) throw new Failure('input', problems);
  return budget;
}

/** The budget in words, for the person who builds. */
export function budgetLines({ slot, data, medium }: Budget): string[] {
  const parts = Object.entries(data.parts).filter(([, bytes]) => bytes > 0);
  return [
    `slot: ${mebibytes(slot.used)} of ${mebibytes(slot.size)}, ${mebibytes(slot.growth)} kept to grow`,
    `data: ${mebibytes(data.needs)} of ${mebibytes(data.size)} on a medium of ${mebibytes(medium)} (${parts
      .map(([name, bytes]) => `${name} ${mebibytes(bytes)}`)
      .join(', ')})`,
  ];
}

/** The key, where the profile has it; else the line that chose the board. */
function lineOf({ devices }: BoardPlan, loaded: LoadedProfile, key: readonly [string, string]) {
  const [section] = key;
  if (section === 'slots' ? loaded.profile.slots.size : loaded.profile.disk.size) return loaded.locate(key);
  const first = (devices[0]?.place ?? 1) - 1;
  const own = loaded.locate(['devices', first, 'board']);
  // What is not written is located at what it would be in.
  return own.where === loaded.locate(['devices', first]).where ? loaded.locate(['board']) : own;
}
