// One scenario from power-on to its end: faults, then healing, then the site must have become one cluster.
import { allCheckers } from './checkers/index.ts';
import { converged, owed, standing } from './convergence.ts';
import { arrange } from './people.ts';
import type { Scenario } from './schedule.ts';
import { type Violation, World } from './world.ts';

export interface Result {
  readonly violations: readonly Violation[];
  /** Seconds from the founder's power-on (or a majority's, where it is asked first) to its start of k3s. */
  readonly foundedAfter: number | undefined;
  /** Nothing but power-on happened before the founding, and no port was silenced by spanning tree. */
  readonly calm: boolean;
  /** Seconds from when the founder and a majority had power to the decision, if nothing else happened before it. */
  readonly decidedAfter: number | undefined;
  readonly world: World;
}

/** Healed sites may need a founder's loss proven (30 min), a second time, and the joins after it. */
const patience = 2 * 3600_000;
/** After this long it is first looked whether anything is owed at all; then after twice as long, and so on. */
const soon = 60_000;

export function run(scenario: Scenario, withTimeline = false): Result {
  const world = new World(scenario, allCheckers(), withTimeline);
  arrange(world);
  world.run(scenario.lasts * 1000);
  if (scenario.heal && world.violations.length === 0) heal(world);
  world.onEnded();
  if (withTimeline)
    world.note(
      undefined,
      converged(world) ? '-- ends as one cluster' : `-- ends so: ${standing(world.boards)}`,
    );
  const { violations, stopwatch } = world;
  const { founded, decided } = stopwatch;
  const decidedAfter = calmUntil(scenario, decided.at) ? decided.after : undefined;
  return {
    violations,
    foundedAfter: founded.after,
    calm: calmUntil(scenario, founded.at),
    decidedAfter,
    world,
  };
}

function calmUntil({ schedule, spanningTree }: Scenario, founded: number): boolean {
  return !spanningTree && schedule.every((fault) => fault.event === 'power-on' || fault.at * 1000 > founded);
}

function heal(world: World): void {
  world.note(undefined, '-- healed: everything has power, disks work, the network carries');
  world.network.heal(world.now);
  for (const board of world.boards) {
    board.heal();
    if (board.stolen) continue;
    if (board.powered) {
      world.network.plug(board.index, world.now);
      board.feed({ kind: 'carrier', up: true });
    } else {
      board.powerOn();
    }
  }
  world.moved = true;
  const until = world.now + patience;
  for (let look = soon; world.now < until && world.violations.length === 0 && !converged(world); look *= 2) {
    world.run(Math.min(world.now + look, until), () => converged(world));
    if (owed(world) === undefined) return;
  }
  const debt = owed(world);
  if (world.violations.length === 0 && debt !== undefined) {
    world.violate('a connected site becomes one cluster', debt);
  }
}
