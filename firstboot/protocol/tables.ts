// Claimed enrolment, several tables: boards that opened enrolment apart meet. One table decides; who is bound to another
// leaves it once it is certain that it never will: another was decided, or its founder gave it up while it could not.
import { type Claim, canDecide, entryOf, type Table } from './claims.ts';
import { alive, serverOf } from './discovery.ts';
import {
  change,
  considerPlace,
  fetchTable,
  heldTable,
  mayGive,
  sayClaim,
  speaksForTable,
  unseat,
} from './enrolment.ts';
import { leave, ownCluster, yieldTo } from './membership.ts';
import type { Hello, Message, Offer } from './messages.ts';
import type { Enrolment, OtherTable, State } from './state.ts';
import { joinLasts, serverSilent } from './timings.ts';
import type { Turn } from './turn.ts';

/** A table lives. Its speaker is believed where it answers this boot's challenge. */
export function onOffer(turn: Turn, message: Message, said: Offer): void {
  const { state, now } = turn;
  const { enrolment, challenge } = state;
  if (enrolment === undefined || said.key === enrolment.key) return;
  const held = heldTable(state);
  if (said.founder === held?.founder) {
    if (said.serial > held.serial) fetchTable(turn, said.founder, message.from);
    return;
  }
  const answer = said.answers.find(
    (one) => one.challenge === challenge.newest || one.challenge === challenge.former,
  );
  if (answer === undefined) {
    if (state.phase === 'enrolling' || enrolment.asks) return;
    change(turn, { asks: true });
    turn.helloWithin(1_000);
    return;
  }
  const known = enrolment.tables.find((table) => table.said.key === said.key);
  const table = {
    founder: said.founder,
    by: message.from,
    said,
    place: answer.place,
    since: known?.since ?? now,
    heardAt: now,
  };
  // One that opens table after table keeps this list short by itself.
  const others = enrolment.tables.filter((one) => one !== known).slice(-31);
  change(turn, { tables: [...others, table] });
  considerTables(turn);
}

/** A member of the same table that knows more of it, or less. */
export function followTable(turn: Turn, message: Message, { serial }: Hello): void {
  const table = heldTable(turn.state);
  if (table === undefined || serial === undefined || serial === table.serial) return;
  if (serial > table.serial) fetchTable(turn, table.founder, message.from);
  else tellTable(turn);
}

/** The next hello comes with an offer: who knows less of the table may not know this board's key. */
function tellTable(turn: Turn): void {
  change(turn, { tells: true });
  turn.helloWithin(1_000);
}

/** Looked at whenever time has passed, or another table was heard. */
export function considerTables(turn: Turn): void {
  const { state, now } = turn;
  const { enrolment, record } = state;
  const { claim } = record;
  if (enrolment === undefined || claim === undefined || state.diskFailed) return;
  if (state.phase === 'enrolling') {
    considerPlace(turn, enrolment);
    return;
  }
  const own = claim.held?.table;
  if (own === undefined) return;
  if (claim.over) {
    leaveTable(turn);
    return;
  }
  for (const other of enrolment.tables) {
    if (now - other.heardAt <= serverSilent && isOver(turn, own, other)) {
      turn.write({ claim: { ...claim, over: true } satisfies Claim });
      leaveTable(turn);
      return;
    }
  }
}

/** Is this board's table over, now that another lives? */
function isOver(turn: Turn, own: Table, other: OtherTable): boolean {
  const { state, now } = turn;
  if (state.record.decided !== undefined) {
    if (other.said.decided !== undefined)
      turn.alarm('table-conflict', `decided under ${other.founder.slice(0, 8)} too`);
    return false;
  }
  if (other.said.decided !== undefined) {
    turn.note('enrolment: another was decided');
    return true;
  }
  if (mayGive(state)) {
    // A server that goes on offering does not know what its founder did: both would give up, each for the other.
    const stands = other.said.key === other.founder || canDecide(other.said.listed, state.site);
    if (stands && mayWithdraw(turn, own) && isLesser(state, own, other.said)) {
      turn.note('enrolment: withdrawn');
      return true;
    }
    if (now - other.since >= joinLasts)
      turn.alarm('table-conflict', `neither decides: ${other.founder.slice(0, 8)} and this one`);
    return false;
  }
  const founder = entryOf(own, own.founder)?.place;
  // Its own founder may be listed there.
  if (!alive(state.peers[founder ?? 0], now, serverSilent)) fetchTable(turn, other.founder, other.by);
  return false;
}

/** Nobody can ever decide under it: it lists at most half of all places, and what runs under it is the founder's alone. */
function mayWithdraw({ state, now }: Turn, own: Table): boolean {
  const { membership } = state.record;
  if (canDecide(own.entries.length, state.site) || state.census.data) return false;
  if (membership === undefined)
    return !state.peers.some(
      (peer) => alive(peer, now, serverSilent) && peer.hello?.cluster?.server === true,
    );
  return (
    membership.role === 'founder' &&
    !membership.shared &&
    serverOf(state, membership.identity.cluster, now) === undefined
  );
}

/** Which of two tables goes on: the one that can decide, then data, a cluster that works, more boards, the lower key. */
function isLesser({ site, record }: State, own: Table, other: Offer): boolean {
  if (canDecide(other.listed, site) || other.cluster?.data === true) return true;
  const works = record.membership?.ready === true;
  if (works !== (other.cluster?.ready === true)) return !works;
  if (other.listed !== own.entries.length) return other.listed > own.entries.length;
  return other.founder < own.founder;
}

/** Out of what runs under the table by the ways that any board leaves a cluster, then out of the place. */
function leaveTable(turn: Turn): void {
  const { state } = turn;
  const { membership } = state.record;
  if (state.phase === 'proposing') turn.enter('stepBack');
  if (state.phase === 'joining') {
    turn.act({ kind: 'stopK3s' });
    turn.write({ membership: undefined });
    turn.enter('joinGivenUp');
  }
  if (state.phase === 'listening') unseat(turn);
  else if (state.phase === 'member') leave(turn);
  else if (membership !== undefined) yieldTo(turn, membership, 'another table');
}

/** What goes out with a hello, or instead of it. */
export function sayEnrolment(turn: Turn, enrolment: Enrolment): void {
  const { state } = turn;
  if (state.phase === 'enrolling' || enrolment.asks) sayClaim(turn, enrolment);
  const table = heldTable(state);
  const server = state.record.membership !== undefined && state.record.membership.role !== 'agent';
  const offers = speaksForTable(state) && (server || enrolment.owed.length > 0 || state.phase !== 'member');
  if (table !== undefined && (offers || enrolment.tells)) sayOffer(turn, table, enrolment);
  if (enrolment.asks || enrolment.tells || enrolment.owed.length > 0)
    change(turn, { asks: false, tells: false, owed: [] });
}

function sayOffer(turn: Turn, table: Table, { key, owed }: Enrolment): void {
  const { state } = turn;
  turn.say(0, {
    kind: 'offer',
    key,
    founder: table.founder,
    serial: table.serial,
    listed: table.entries.length,
    open: mayGive(state) && !table.closed,
    cluster: ownCluster(state),
    decided: state.record.decided?.value.cluster,
    challenge: state.challenge.newest,
    answers: owed,
  });
}
