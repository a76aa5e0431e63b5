// Has the site become one cluster; and if not, is that a debt, or does it wait for a person with good reason?
import type { Alarm } from '../../firstboot/protocol/events.ts';
import type { World } from './world.ts';

/** Every device with power is in the decided cluster, and knows that it was decided. */
export function converged(world: World): boolean {
  let cluster: string | undefined;
  for (const { powered, stolen, hung, state } of world.boards) {
    if (!powered || stolen || hung) continue;
    const { membership, decided } = state?.record ?? {};
    if (state === undefined || membership?.ready !== true || decided === undefined) return false;
    if (state.phase !== 'member' && state.phase !== 'serving') return false;
    cluster ??= decided.value.cluster;
    if (membership.identity.cluster !== cluster || decided.value.cluster !== cluster) return false;
  }
  return true;
}

/** Alarms with which a device may wait for a person instead; each must be justified by what really happened. */
const persons: ReadonlyMap<Alarm, (world: World) => boolean> = new Map([
  ['holds-data', (world) => happened(world, 'deploy')],
  ['two-clusters', (world) => happened(world, 'deploy')],
  ['founder-lost', (world) => happened(world, 'flash', 'clone', 'steal', 'hang')],
  ['memory-lost', (world) => happened(world, 'flash', 'clone')],
  ['clone', (world) => happened(world, 'clone')],
  ['join-refused', (world) => happened(world, 'flash', 'clone')],
  ['roster-fork', (world) => happened(world, 'roster')],
  ['electors-changed', (world) => happened(world, 'roster')],
  ['denied', (world) => happened(world, 'roster')],
]);

function happened(world: World, ...events: readonly string[]): boolean {
  return world.scenario.schedule.some((fault) => events.includes(fault.event));
}

/** A quorum of honest electors, and somebody who may found or has founded. Without them nothing was promised. */
function couldConverge({ boards, scenario }: World): boolean {
  const honest = boards.filter((board) => board.powered && !board.stolen && board.state !== undefined);
  const site = boards[0]?.stamped;
  const electors = honest.filter((board) => site?.electors.includes(board.place));
  const mayFound = honest.some(({ state, place, hung }) => {
    if (state === undefined || hung) return false;
    const { record } = state;
    const designated = scenario.policy.startsWith('designated');
    const eligible = site?.members[place]?.eligible === true && !record.wasServer;
    const serves = record.membership !== undefined && record.membership.role !== 'agent';
    return serves || (eligible && (!designated || scenario.policy === `designated: ${place}`));
  });
  return electors.length >= (site?.quorum ?? 0) && mayFound;
}

/** What is missing, or undefined where a person must act and was told so. */
export function owed(world: World): string | undefined {
  if (converged(world) || !couldConverge(world)) return undefined;
  const excused = world.boards.some((board) => {
    // A server whose k3s hangs still says what it is: a person pulls its plug.
    if (board.hung && board.state?.record.membership?.ready === true) return true;
    return board.state?.alarms.some((alarm) => persons.get(alarm)?.(world) === true);
  });
  if (excused) return undefined;
  return world.boards
    .filter((board) => board.powered && !board.stolen)
    .map(({ place, state }) => {
      const cluster = state?.record.membership?.identity.cluster ?? 'no cluster';
      const decided = state?.record.decided?.value.cluster ?? 'nothing';
      return `device ${place} ${state?.phase} in ${cluster}, decided ${decided} (${state?.record.generation})`;
    })
    .join('; ');
}
