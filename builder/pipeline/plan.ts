// What a build will make, decided before anything is made; refused here if it cannot work.
import { Failure, type Problem } from '../../formats/errors.ts';
import type { Board } from '../boards/board.ts';
import { findBoard } from '../boards/boards.ts';
import type { LoadedProfile } from '../profile/load.ts';
import type { Device } from '../profile/profile.ts';
import { budgetOf, overBudget } from './budget.ts';

/** A device and its place in the roster, from 1 in the profile's order. */
export interface PlacedDevice extends Device {
  readonly place: number;
}

/** The devices of one board: they share everything but the stamp. */
export interface BoardPlan {
  readonly board: Board;
  readonly devices: readonly PlacedDevice[];
  readonly layout: Layout;
}

/** Byte ranges of a disk, as start and size. */
export interface Layout {
  readonly esp: Region;
  readonly slotA: Region;
  readonly slotB: Region;
  readonly data: Region;
  /** Of the image: less than the medium, on which data grows. */
  readonly size: number;
}

export interface Region {
  readonly start: number;
  readonly size: number;
}

const MiB = 1024 ** 2;

/** One plan a board, in the order the profile first names them. Throws all that is wrong at once. */
export function planBoards(loaded: LoadedProfile): BoardPlan[] {
  const { profile } = loaded;
  const problems: Problem[] = [];
  const plans = new Map<string, { board: Board; devices: PlacedDevice[]; layout: Layout }>();
  for (const [index, device] of profile.devices.entries()) {
    const board = findBoard(device.board);
    if (board === undefined) throw new Error(`the profile was accepted with a board ${device.board}`);
    let plan = plans.get(board.name);
    if (plan === undefined) {
      const layout = layoutOf(board, profile.slots.size ?? board.layout.slot);
      plan = { board, devices: [], layout };
      plans.set(board.name, plan);
    }
    plan.devices.push({ ...device, place: index + 1 });
  }
  for (const plan of plans.values()) {
    // What the slot holds is not known yet: only what no image of any size would fit is refused here.
    problems.push(...overBudget(plan, loaded, budgetOf(plan, profile, { slot: 0, images: 0, exact: false })));
  }
  if (problems.length > 0) throw new Failure('input', problems);
  return [...plans.values()];
}

/** ESP, slot A, slot B, and a data partition that the first boot grows to the end of the medium. */
function layoutOf(board: Board, slotSize: number): Layout {
  const slot = Math.ceil(slotSize / MiB) * MiB;
  const esp = { start: board.layout.firstPartition, size: board.layout.esp };
  const slotA = { start: esp.start + esp.size, size: slot };
  const slotB = { start: slotA.start + slot, size: slot };
  // The first MiB of data is mapped, as zeros: flashing never revives what was there before.
  const data = { start: slotB.start + slot, size: MiB };
  return { esp, slotA, slotB, data, size: data.start + data.size + MiB };
}
