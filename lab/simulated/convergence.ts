// Has the site become one cluster; and if not, is that a debt, or does it wait for a person with good reason?
import { canDecide, sizeOf } from '../../firstboot/protocol/claims.ts';
import type { Alarm } from '../../firstboot/protocol/events.ts';
import { nowhere, type Site } from '../../firstboot/protocol/site.ts';
import { votersOf } from '../standin/model.ts';
import type { Board } from './board.ts';
import { majorityOf } from './memory.ts';
import type { World } from './world.ts';

/** Every device with power is in one cluster that a server runs, and knows that it was decided, where it can be. */
export function converged(world: World): boolean {
  return areOneSite(world, world.boards);
}

function areOneSite(world: World, boards: readonly Board[]): boolean {
  let cluster: string | undefined;
  const undecidable = !couldDecide(world);
  for (const { powered, stolen, hung, state, k3s } of boards) {
    if (!powered || stolen || hung) continue;
    const { membership, decided } = state?.record ?? {};
    if (state === undefined || membership?.ready !== true) return false;
    if (decided === undefined && !undecidable) return false;
    if (state.phase !== 'member' && state.phase !== 'serving') return false;
    cluster ??= membership.identity.cluster;
    if (membership.identity.cluster !== cluster || k3s.storeOf() !== cluster || k3s.process !== 'running')
      return false;
    if (decided !== undefined && decided.value.cluster !== cluster) return false;
  }
  return cluster === undefined || (isServed(world, cluster) && serversSettled(world, cluster));
}

/** By the newest roster that anybody goes by: the board itself may be the last to learn it. */
function isDenied({ boards }: World, { place }: Board): boolean {
  const sites = boards.flatMap(({ state, stolen }) => (state === undefined || stolen ? [] : [state.site]));
  const newest = Math.max(...sites.map(({ epoch }) => epoch));
  return sites.some(({ epoch, members }) => epoch === newest && members[place]?.denied === true);
}

/** Members of a cluster without a server are no site, nor is one whose only server is denied. */
function isServed(world: World, id: string): boolean {
  return world.boards.some((board) => {
    const { powered, stolen, hung, k3s } = board;
    return powered && !stolen && !hung && k3s.serves(id) && !isDenied(world, board);
  });
}

/** Three servers that work, where three devices may be one. */
function serversSettled({ reconcilers, boards, clusters }: World, id: string): boolean {
  if (reconcilers === undefined) return true;
  const there = boards.filter(({ powered, stolen, hung, k3s }) => {
    return powered && !stolen && !hung && k3s.storeOf() === id;
  });
  // One that is denied is no candidate; as a server that runs it is a person's to remove.
  const able = there.filter(({ state, place }) => {
    const member = state?.site.members[place];
    return member?.eligible === true && !member.denied;
  });
  const voters = votersOf(clusters.get(id));
  // Two boards with one stamp are one node.
  const nodes = (boards: readonly Board[]) => new Set(boards.map(({ place }) => place)).size;
  const work = nodes(there.filter((board) => board.k3s.serves(id)));
  return nodes(able) < 3 || (voters.length === 3 && work === 3);
}

/** Most servers of the cluster were flashed, stolen or hang: its quorum is a person's matter. */
function quorumIsGone({ boards, clusters }: World, id: string): boolean {
  const voters = votersOf(clusters.get(id));
  const there = voters.filter((voter) =>
    boards.some(
      ({ k3s, powered, stolen, hung }) =>
        powered && !stolen && !hung && k3s.name === voter.name && k3s.disk.wal?.member === voter.id,
    ),
  );
  return voters.length > 1 && there.length <= voters.length / 2;
}

/** A server whose k3s hangs still says what it is: a person pulls its plug. */
function hangs({ boards }: World, id: string): boolean {
  return boards.some(({ hung, state }) => {
    const membership = state?.record.membership;
    return hung && membership?.identity.cluster === id && membership.ready && membership.role !== 'agent';
  });
}

/** The cluster goes on only when a person acts; whoever is in it, or must come into it, waits. */
function isStalled(world: World, id: string): boolean {
  return hangs(world, id) || quorumIsGone(world, id) || isDoubled(world, id);
}

/** Is it the decided cluster that is stalled; or, where none is, all that there is? */
function waitsForPerson(world: World, decided: string | undefined): boolean {
  const { ids } = world.clusters;
  if (decided !== undefined) return ids.includes(decided) && isStalled(world, decided);
  return (
    ids.some((id) => isStalled(world, id)) && !ids.some((id) => isServed(world, id) && !isStalled(world, id))
  );
}

/** In a claimed site fewer boards than half its places never decide; their cluster works all the same. */
function couldDecide({ boards }: World): boolean {
  const site = boards[0]?.stamped;
  if (site?.claimed !== true) return true;
  const bound = boards.filter((board) => board.powered && !board.stolen && board.place !== nowhere);
  return canDecide(bound.length, site) && bound.length >= site.quorum;
}

/** Was a person told so, of just this, at any board, at any time? */
function wasTold({ alarms }: World, kinds: readonly Alarm[], of: string): boolean {
  return alarms.some(({ alarm, about }) => kinds.includes(alarm) && about.startsWith(of));
}

/** One of two boards with one stamp, denied, or without a place: it waits for a person, and has no part in the rest. */
function isOutside(world: World, board: Board): boolean {
  const { state, place } = board;
  return (
    isDenied(world, board) ||
    isTwin(world, board) ||
    (place === nowhere && state?.alarms.includes('no-place') === true && !hasPlaceFor(world, board)) ||
    isReplaced(board) ||
    // The board that it replaced lives on under its name: the cluster refuses it.
    (state?.alarms.includes('join-refused') === true &&
      world.boards.some((other) => other.place === place && isReplaced(other)))
  );
}

/** A table that decides, or could, has a place left for the board, and who opened it is there to hand it out. */
function hasPlaceFor({ boards }: World, { key, stamped }: Board): boolean {
  return boards.some(({ powered, stolen, hung, key: opener, state }) => {
    const claim = state?.record.claim;
    const table = claim?.held?.table;
    if (!powered || stolen || hung || table?.founder !== opener || claim?.over === true) return false;
    const known = table.entries.some((entry) => entry.former.includes(key));
    return !known && !table.closed && table.entries.length < sizeOf(stamped);
  });
}

/** Its table is over, or gave its place to another board, but what it holds, or serves, is a person's to give up. */
function isReplaced({ state }: Board): boolean {
  return state?.record.claim?.over === true && state.phase === 'holding';
}

/** In a claimed site a second board has a key of its own, and is like any other. */
function isTwin(world: World, board: Board): boolean {
  const twin = world.boards.some((other) => other !== board && other.device === board.device);
  if (!twin || board.stamped.claimed) return false;
  const named = `place ${board.place}`;
  return world.alarms.some(({ board: by, alarm, about }) =>
    alarm === 'clone'
      ? about.split(':')[0] === named
      : alarm === 'join-refused' && by.device === board.device,
  );
}

/** A cluster runs on one of two boards with one stamp alone, and nobody founds beside it: a person must say which it is. */
function isDoubled(world: World, id: string): boolean {
  return isServed(world, id) && !world.boards.some((one) => one.k3s.serves(id) && !isTwin(world, one));
}

/** It stays in a cluster that goes on beside the decided one, because of what is in it. */
function isKeptApart(world: World, { state }: Board): boolean {
  const { boards, clusters } = world;
  const id = state?.record.membership?.identity.cluster;
  if (id === undefined || !clusters.ids.includes(id)) return false;
  const decided = boards.some((board) => board.state?.record.decided?.value.cluster === id);
  const full = (clusters.dataOf(id)?.size ?? 0) > 0 || votersOf(clusters.get(id)).length > 1;
  const told = wasTold(world, ['holds-data', 'two-clusters'], id) || wasTold(world, ['table-conflict'], '');
  return !decided && full && told && clusters.ids.some((other) => other !== id && isServed(world, other));
}

/** What was decided in the newest generation that anybody knows who is no person's matter. */
function decidedLast(world: World): string | undefined {
  const inside = world.boards.filter((board) => !isOutside(world, board));
  const records = inside.flatMap(({ state }) => (state === undefined ? [] : [state.record]));
  const newest = Math.max(...records.map(({ generation }) => generation));
  const last = records.find(({ generation, decided }) => generation === newest && decided !== undefined);
  return last?.decided?.value.cluster;
}

/** What was decided last has no server any more, a person was told so, and it is a person's to give up. */
function founderIsGone(world: World, decided: string | undefined): boolean {
  if (decided === undefined || isServed(world, decided) || !wasTold(world, ['founder-lost'], decided))
    return false;
  const { scenario, clusters, boards } = world;
  if (scenario.policy !== 'first-online' || !clusters.ids.includes(decided)) return true;
  const { members, removed } = clusters.get(decided);
  const data = (clusters.dataOf(decided)?.size ?? 0) > 0 && !scenario.refound;
  const shared = members.length + removed.length > 1;
  // Its last word must have been heard by a quorum: who never heard it does not know that it was empty.
  const knew = boards.filter(({ state }) => state?.record.seen?.cluster === decided).length;
  const quorum = majorityOf(boards[0]?.stamped.electors.length ?? 0);
  const doubled = boards.some((board) => isTwin(world, board) && board.place === founderOf(world, decided));
  return data || shared || knew < quorum || doubled;
}

function founderOf({ boards }: World, cluster: string): number | undefined {
  for (const { state } of boards) {
    const value = state?.record.decided?.value;
    if (value?.cluster === cluster) return value.founder;
  }
  return undefined;
}

/** Two identities were decided in one generation; whether that was excused is for the checker of it to say. */
function decidedTwice({ boards }: World): boolean {
  const decided = new Map<number, string>();
  return boards.some(({ state }) => {
    const certificate = state?.record.decided;
    if (certificate === undefined) return false;
    const { generation, value } = certificate;
    const before = decided.get(generation) ?? value.cluster;
    decided.set(generation, value.cluster);
    return before !== value.cluster;
  });
}

/** Too few electors remember for the others to recover: the others were flashed, or are one of two. */
function memoryIsLost(world: World): boolean {
  const site = world.boards[0]?.stamped;
  if (site === undefined || !wasTold(world, ['memory-lost'], '')) return false;
  const { boards } = world;
  const remember = boards.filter((board) => {
    const { powered, stolen, state, place, flashes, device } = board;
    const there = powered && !stolen && !isOutside(world, board) && site.electors.includes(place);
    const forgets = flashes > 0 || boards.some((other) => other !== board && other.device === device);
    return there && (state?.record.amnesiac === false || !forgets);
  });
  return remember.length < site.electors.length - majorityOf(site.electors.length) + 1;
}

/** A quorum of honest electors, and somebody who may found or has founded. Without them nothing was promised. */
function couldConverge(world: World, boards: readonly Board[]): boolean {
  const { scenario } = world;
  const honest = boards.filter((board) => board.powered && !board.stolen && board.state !== undefined);
  const site = boards[0]?.stamped;
  if (site?.claimed === true) return claimedCouldConverge(site, honest);
  const electors = honest.filter((board) => site?.electors.includes(board.place));
  const mayFound = honest.some(({ state, place, hung, k3s }) => {
    if (state === undefined || hung) return false;
    const designated = scenario.policy.startsWith('designated');
    // An agent that holds what a person put there founds nothing.
    const free = state.phase !== 'holding' && !k3s.wasServer;
    const eligible = site?.members[place]?.eligible === true && free;
    const { membership } = state.record;
    const serves = membership !== undefined && membership.role !== 'agent';
    return serves || (eligible && (!designated || scenario.policy === `designated: ${place}`));
  });
  return electors.length >= majorityOf(site?.electors.length ?? 0) && mayFound;
}

/** Boards enough to decide, every table's founder still there, and a board that may found or serves. */
function claimedCouldConverge(site: Site, honest: readonly Board[]): boolean {
  if (!canDecide(honest.length, site)) return false;
  const there = new Set(honest.filter(({ hung }) => !hung).map(({ key }) => key));
  const orphaned = honest.some(({ state }) => {
    const founder = state?.record.claim?.held?.table.founder;
    return founder !== undefined && !there.has(founder);
  });
  if (orphaned) return false;
  return honest.some(({ state, hung, k3s }) => {
    if (state === undefined || hung) return false;
    const { membership, claim } = state.record;
    const serves = membership !== undefined && membership.role !== 'agent';
    return serves || (!k3s.wasServer && claim?.withdrew === false);
  });
}

/** What is missing, or undefined where a person must act and was told so. */
export function owed(world: World): string | undefined {
  if (converged(world) || decidedTwice(world) || memoryIsLost(world)) return undefined;
  const decided = decidedLast(world);
  if (founderIsGone(world, decided) || waitsForPerson(world, decided)) return undefined;
  const { ids } = world.clusters;
  const stalled = ids.filter((id) => isStalled(world, id));
  const inside = world.boards.filter((board) => !isOutside(world, board));
  const rest = inside.filter((board) => {
    const own = board.state?.record.membership?.identity.cluster;
    return !isKeptApart(world, board) && (own === undefined || !stalled.includes(own));
  });
  if (!couldConverge(world, inside) || areOneSite(world, rest)) return undefined;
  return standing(rest);
}

/** How the boards with power stand, in words. */
export function standing(boards: readonly Board[]): string {
  return boards
    .filter((board) => board.powered && !board.stolen)
    .map(({ device, place, state }) => {
      const cluster = state?.record.membership?.identity.cluster ?? 'no cluster';
      const decided = state?.record.decided?.value.cluster ?? 'nothing';
      const table = state?.record.claim?.held?.table;
      const seat =
        table === undefined ? '' : `, place ${place} of ${table.founder.slice(-5)}/${table.serial}`;
      return `device ${device}${seat} ${state?.phase} in ${cluster}, decided ${decided} (${state?.record.generation})`;
    })
    .join('; ');
}
