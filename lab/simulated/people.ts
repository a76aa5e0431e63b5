// What people, power and thieves do to a site: carries out a schedule.
import type { Message } from '../../firstboot/protocol/messages.ts';
import type {
  BootId,
  Challenge,
  ClusterId,
  Dossier,
  Hash,
  Identity,
  Incarnation,
  Signature,
} from '../../firstboot/protocol/terms.ts';
import { place } from '../../formats/roster.ts';
import { Board, honestDossier } from './board.ts';
import type { Fault } from './schedule.ts';
import { siteFor } from './site.ts';
import type { World } from './world.ts';

/** Puts every fault of the scenario into the world's future. */
export function arrange(world: World): void {
  for (const fault of world.scenario.schedule) {
    world.at(fault.at * 1000, () => {
      world.note(undefined, `-- ${describe(fault)}`);
      befall(world, fault);
    });
  }
}

function describe({ at: _, event, ...rest }: Fault): string {
  return `${event} ${Object.entries(rest)
    .map(([key, value]) => `${key} ${JSON.stringify(value)}`)
    .join(', ')}`;
}

function befall(world: World, fault: Fault): void {
  const { network, now } = world;
  world.moved = true;
  const board = 'device' in fault ? world.device(fault.device) : undefined;
  switch (fault.event) {
    case 'power-on':
      board?.powerOn();
      return;
    case 'power-off':
      board?.powerOff();
      return;
    case 'agent-restart':
      if (board?.powered !== true || board.stolen) return;
      board.endAgent();
      world.at(now + 2_000, () => {
        if (board.powered && !board.stolen && board.state === undefined) board.startAgent();
      });
      return;
    case 'pause':
      if (board !== undefined) board.pausedUntil = now + fault.for * 1000;
      return;
    case 'port-down':
    case 'port-up': {
      if (board === undefined) return;
      const up = fault.event === 'port-up';
      if (up) network.plug(board.index, now);
      else network.unplug(board.index);
      board.feed({ kind: 'carrier', up });
      return;
    }
    case 'partition':
      network.split(fault.sides.map((side) => boardsAt(world, side)));
      return;
    case 'join-networks':
      network.split([]);
      return;
    case 'one-way': {
      for (const from of boardsAt(world, [fault.device])) {
        for (const to of boardsAt(world, [fault.to])) network.deafen(from, to);
      }
      return;
    }
    case 'network':
      network.loss = fault.loss;
      network.delay = fault.delay * 1000;
      network.duplicates = fault.duplicates;
      network.late = fault.late;
      return;
    case 'disk-full':
    case 'disk-read-only':
    case 'disk-works':
      if (board !== undefined) board.disk.refuses = fault.event !== 'disk-works';
      return;
    case 'disk-slow':
      if (board !== undefined) board.disk.sync = fault.sync * 1000;
      return;
    case 'flash':
      if (board === undefined || board.stolen) return;
      board.flash();
      world.at(now + 60_000, () => board.powerOn());
      return;
    case 'clone': {
      if (board === undefined) return;
      const second = new Board(world, world.boards.length, board.device, board.stamped);
      world.boards.push(second);
      second.powerOn();
      return;
    }
    case 'deploy':
      if (board?.powered === true) world.clusters.deploy(board);
      return;
    case 'clock':
      if (board !== undefined) board.wallClock = fault.to;
      return;
    case 'roster': {
      const { epoch, deny, electors, fork } = fault;
      board?.takeRoster(siteFor(world.scenario, { epoch, deny, electors, fork }));
      return;
    }
    case 'steal':
      if (board === undefined) return;
      if (fault.silent) takeAway(board);
      else steal(world, board);
      return;
    case 'replay':
      world.recording = true;
      if (fault.on && !world.replaying) replay(world, 0, 400);
      return;
    case 'hang':
      if (board !== undefined) {
        board.hung = true;
        board.k3s.stop();
      }
      return;
    case 'resolve':
      if (board?.state?.record.amnesiac === true) world.memory.letGo(board);
      board?.feed({ kind: 'resolve' });
      return;
    case 'close-enrolment':
      board?.feed({ kind: 'closeEnrolment' });
      return;
    case 'replace': {
      const other = world.device(fault.by);
      if (other !== undefined) board?.feed({ kind: 'replace', place: place(fault.place), key: other.key });
      return;
    }
  }
}

function boardsAt(world: World, devices: readonly number[]): number[] {
  return world.boards.filter((board) => devices.includes(board.device)).map((board) => board.index);
}

/** A stranger says again what was said, in the order in which it was said, for ever; the first time fast. */
function replay(world: World, at: number, pace: number): void {
  world.replaying = true;
  const message = world.tape[at];
  if (message !== undefined) {
    for (const board of world.boards) {
      if (board.powered) world.at(world.now + 1, () => board.receive(message));
    }
  }
  const end = at + 1 >= world.tape.length;
  world.at(world.now + pace, () => replay(world, end ? 0 : at + 1, end ? 2_000 : pace));
}

function takeAway(board: Board): void {
  board.powerOff();
  board.stolen = true;
}

/**
 * A stolen device's key answers every challenge and claims that a cluster of the thief's was decided, with
 * certificates and proofs that nobody signed.
 */
function steal(world: World, board: Board): void {
  takeAway(board);
  const { place } = board;
  const identity: Identity = {
    cluster: 'e'.repeat(12) as ClusterId,
    ca: 'e'.repeat(64) as Hash,
    founder: place,
  };
  const boot = world.random.bits48() as BootId;
  let sequence = 0;
  let speaksAt = 0;
  // It says that it could found, and never does: whoever waits for it waits in vain.
  const boasts = world.random.chance(0.5);
  world.network.plug(board.index, world.now);
  world.dossierFrom = (peer) => (peer.stolen ? forgedDossier(world, peer, identity) : honestDossier(peer));
  // Honest boards fetch only from boards with power: the thief's laptop has some.
  board.powered = true;
  world.onHeardByThief = (thief, heard) => {
    if (heard.body.kind !== 'hello' || heard.from === place || world.now < speaksAt) return;
    speaksAt = world.now + 200; // fast enough to answer everybody; faster only costs time
    sequence += 1;
    const message: Message = {
      ...heard,
      from: place,
      to: heard.from,
      boot,
      sequence,
      incarnation: 1 as Incarnation,
      generation: world.random.chance(0.5) ? heard.generation : heard.generation + 1,
      body: {
        ...heard.body,
        phase: boasts ? 'listening' : 'serving',
        canFound: boasts,
        cluster: undefined,
        decided: identity.cluster,
        gone: undefined,
        challenge: 7 as Challenge,
        vector: [],
        echoes: [{ place: heard.from, challenge: heard.body.challenge }],
      },
    };
    world.transmit(thief.index, message);
  };
}

function forgedDossier(world: World, thief: Board, value: Identity): Dossier {
  const generation = 1 + world.random.below(2);
  const signers = thief.site.electors.map((elector) => ({
    place: elector,
    incarnation: 1 as Incarnation,
    signature: 'forged' as Signature,
  }));
  const ballot = { round: 1, place: thief.place, incarnation: 1 as Incarnation };
  const certificate = { generation: 1, ballot, value, signers };
  const past = generation === 1 ? [] : [{ certificate, proof: { kind: 'lost', signers } as const }];
  return { generation, past, decided: { ...certificate, generation } };
}
