// Claimed enrolment, the way to a place: boards without one ask around, the first in rank opens a table, its founder
// hands places out in order of arrival. A board speaks under a place only after the table is on its disk.
import type { Place } from '../../formats/roster.ts';
import {
  acceptTable,
  closeEnrolment,
  entryOf,
  handOut,
  newTable,
  outranksUnplaced,
  replaceBoard,
  type SignedTable,
  seated,
  signTable,
  type Table,
} from './claims.ts';
import { mayFetch, onFetched } from './fetches.ts';
import type { ClaimBody, Message } from './messages.ts';
import { freshRecord } from './record.ts';
import { nowhere } from './site.ts';
import type { Claimant, Draft, Enrolment, OtherTable, State } from './state.ts';
import type { Incarnation, Milliseconds, PublicKey } from './terms.ts';
import { joinLasts, peerSilent, serverSilent, settle, settleAlone, turnToFound } from './timings.ts';
import type { Turn } from './turn.ts';

/** Boards without a place that are remembered; more than this is an attack. */
const mostClaimants = 300;
/** Claims that one offer answers. */
const mostAnswers = 30;

/** The table this board is bound to. */
export function heldTable({ record }: State): Table | undefined {
  return record.claim?.held?.table;
}

/** Takes the place, and the keys of the others, that the record's table gives. */
export function sit(state: Draft<State>): void {
  const { enrolment, site } = state;
  if (enrolment === undefined) return;
  const table = heldTable(state);
  const filled = seated(site, table);
  const same = filled.electorsHash === site.electorsHash;
  state.peers = filled.members.map((member, place) =>
    same && member?.key === site.members[place]?.key ? state.peers[place] : undefined,
  );
  state.site = filled;
  state.place = (table === undefined ? undefined : entryOf(table, enrolment.key)?.place) ?? nowhere;
}

export function change(turn: Turn, news: Partial<Enrolment>): void {
  const { state } = turn;
  if (state.enrolment !== undefined) state.enrolment = { ...state.enrolment, ...news };
}

/** In `enrolling`: follows a table that lives, or opens one. */
export function considerPlace(turn: Turn, enrolment: Enrolment): void {
  const { state, now } = turn;
  const alive = enrolment.tables.filter((table) => now - table.heardAt <= serverSilent);
  if (alive.length === 0) {
    considerOpening(turn, enrolment);
    return;
  }
  const open = alive.filter((table) => table.said.open || table.place !== 0);
  const chosen = choose(open, enrolment);
  if (chosen === undefined) {
    // A server may be heard before the one that hands out.
    if (now - state.since.phase >= settleAlone)
      turn.alarm('no-place', 'every place is taken, or enrolment is closed');
    return;
  }
  if (chosen.founder !== enrolment.wants) {
    change(turn, { wants: chosen.founder });
    turn.helloWithin(0);
  }
  if (chosen.place !== 0) fetchTable(turn, chosen.founder, chosen.by);
  else if (now - state.since.phase >= joinLasts)
    turn.alarm('no-place', 'the board that opened enrolment is away, or this one was replaced by another');
}

/** The one it asked before, unless another was decided; else a decided one, then data, then the most boards. */
function choose(tables: readonly OtherTable[], { wants }: Enrolment): OtherTable | undefined {
  const worth = ({ founder, said }: OtherTable) =>
    (said.decided === undefined ? 0 : 4000) +
    (founder === wants ? 2000 : 0) +
    (said.cluster?.data === true ? 1000 : 0) +
    said.listed;
  return tables.toSorted((a, b) => worth(b) - worth(a) || (a.founder < b.founder ? -1 : 1))[0];
}

function considerOpening(turn: Turn, enrolment: Enrolment): void {
  const { state, now } = turn;
  const { carrierAt, site } = state;
  if (carrierAt === undefined || !canOpen(state)) return;
  const company = enrolment.claimants.filter((one) => now - one.heardAt <= peerSilent);
  const settledAt = carrierAt + (company.length > 0 ? settle : settleAlone);
  if (now < settledAt) {
    turn.dueBy('settle', settledAt);
    return;
  }
  if (now < turnAfter(company, enrolment)) return;
  const own = site.members.find((member) => member?.eligible === true);
  if (own === undefined) return;
  turn.note('enrolment: opened');
  bind(turn, signTable(turn.signatures, newTable(site, enrolment.key, own.place)));
}

/** When those that rank before have all had their turn. */
function turnAfter(company: readonly Claimant[], enrolment: Enrolment): Milliseconds {
  const better = company
    .filter((one) => one.canFound && outranksUnplaced(one, enrolment))
    .sort((a, b) => (outranksUnplaced(a, b) ? -1 : 1));
  let ends = -Infinity;
  for (const one of better) ends = Math.max(ends, one.since) + turnToFound;
  return ends;
}

/** Could this board open a table? One that was a server, or gave a table up, never does. */
function canOpen({ phase, capable, diskFailed, durable, cloned, carrierAt, record, site }: State): boolean {
  return (
    phase === 'enrolling' &&
    capable &&
    !diskFailed &&
    durable !== undefined &&
    !cloned &&
    carrierAt !== undefined &&
    !record.wasServer &&
    record.claim?.withdrew === false &&
    site.policy.kind !== 'designated' // nobody has a name before it has a place
  );
}

export function sayClaim(turn: Turn, { key, class: hardware, wants, tables }: Enrolment): void {
  const { state } = turn;
  const wanted = state.phase === 'enrolling' ? tables.find((table) => table.said.key === wants) : undefined;
  turn.say(0, {
    kind: 'claim',
    key,
    class: hardware,
    canFound: canOpen(state),
    wants: wanted?.founder,
    echo: wanted?.said.challenge,
    withdrew: state.record.claim?.withdrew === true,
    challenge: state.challenge.newest,
  });
}

/** Somebody asks around. The founder of the table gives it a place if it wants one and answers this boot. */
export function onClaim(turn: Turn, message: Message, body: ClaimBody): void {
  const { state, now } = turn;
  const { enrolment, site, challenge } = state;
  if (enrolment === undefined || body.key === enrolment.key || site.deniedKeys.includes(body.key)) return;
  const { key, canFound } = body;
  const known = enrolment.claimants.find((one) => one.key === key);
  if (known?.boot === message.boot && message.sequence <= known.sequence) return;
  const { boot, sequence } = message;
  const since = known?.canFound === canFound ? known.since : now;
  const claimant = { key, class: body.class, boot, sequence, canFound, since, heardAt: now };
  const others = enrolment.claimants.filter((one) => one !== known).slice(1 - mostClaimants);
  change(turn, { claimants: [...others, claimant] });
  if (!speaksForTable(state)) return;
  const fresh = body.echo === challenge.newest || body.echo === challenge.former;
  if (body.wants === enrolment.key && fresh && mayGive(state))
    give(turn, (table) => handOut(table, key, state.site, body.withdrew));
  const table = heldTable(state);
  const place = (table === undefined ? undefined : entryOf(table, key)?.place) ?? 0;
  const owed = enrolment.owed.filter((one) => one.challenge !== body.challenge).slice(1 - mostAnswers);
  change(turn, { owed: [...owed, { place, challenge: body.challenge }] });
  turn.helloWithin(body.wants === enrolment.key ? 0 : 500);
}

/** Does this board speak for its table: as its founder, or as a server that works? */
export function speaksForTable({ record, enrolment }: State): boolean {
  const { claim, membership } = record;
  if (claim?.held === undefined || claim.over) return false;
  const serves = membership?.ready === true && membership.role !== 'agent';
  return serves || claim.held.table.founder === enrolment?.key;
}

/** Only a table's founder changes it, and only while the table may still decide. */
export function mayGive({ record, enrolment, diskFailed }: State): boolean {
  const { claim } = record;
  return (
    !diskFailed && claim?.held !== undefined && !claim.over && claim.held.table.founder === enrolment?.key
  );
}

function give(turn: Turn, next: (table: Table) => Table): void {
  const { state } = turn;
  const { claim } = state.record;
  if (claim?.held === undefined) return;
  const table = next(claim.held.table);
  if (table === claim.held.table) return;
  turn.note('enrolment: handed out');
  turn.write({ claim: { ...claim, held: signTable(turn.signatures, table) } });
  sit(state);
}

/** A person ends enrolment. */
export function onCloseEnrolment(turn: Turn): void {
  if (mayGive(turn.state)) give(turn, closeEnrolment);
  turn.helloWithin(0);
}

/** A person gives a place to another board. */
export function onReplace(turn: Turn, place: Place, key: PublicKey): void {
  if (mayGive(turn.state)) give(turn, (table) => replaceBoard(table, place, key));
  turn.helloWithin(0);
}

/** A table was fetched: the first one binds, later ones of the same founder add. */
export function onTable(turn: Turn, signed: SignedTable): void {
  const { state } = turn;
  const { enrolment, site, record } = state;
  onFetched(turn, true);
  if (enrolment === undefined || record.claim === undefined || state.diskFailed || state.cloned) return;
  const held = heldTable(state);
  if (held !== undefined && held.founder !== signed.table.founder) {
    // Its founder is listed elsewhere as one that gave its table up: this one.
    const elsewhere = acceptTable(undefined, signed, held.founder, site, turn.signatures);
    if (typeof elsewhere === 'string' || entryOf(elsewhere, held.founder)?.withdrew !== true) return;
    if (record.decided !== undefined || record.claim.over) return;
    turn.note('enrolment: founder is elsewhere');
    turn.write({ claim: { ...record.claim, over: true } });
    return;
  }
  const taken = acceptTable(held, signed, enrolment.key, site, turn.signatures);
  if (typeof taken === 'string') {
    turn.note('enrolment: table refused');
  } else if (held === undefined) {
    // That it gave up a table of its own must stand there first: it releases who is bound to that.
    const noted = entryOf(taken, enrolment.key)?.withdrew === true || !record.claim.withdrew;
    if (state.phase === 'enrolling' && noted) bind(turn, signed);
  } else if (entryOf(taken, enrolment.key) === undefined) {
    turn.note('enrolment: replaced');
    turn.write({ claim: { ...record.claim, over: true } });
  } else {
    turn.write({ claim: { ...record.claim, held: signed } });
    sit(state);
  }
}

/** From here on this board has a place, and is bound to the table. */
function bind(turn: Turn, held: SignedTable): void {
  const { state } = turn;
  const { record, site, enrolment } = state;
  const place = enrolment === undefined ? nowhere : (entryOf(held.table, enrolment.key)?.place ?? nowhere);
  const withdrew = record.claim?.withdrew === true;
  turn.write({
    ...freshRecord(site, site.slots[place] ?? -1, record.incarnation),
    wasServer: record.wasServer,
    claim: { held, over: false, withdrew },
  });
  turn.note('enrolment: bound');
  change(turn, { tables: [], wants: undefined });
  sit(state);
  // Under new names nobody was heard yet. Who opened the table has settled already.
  if (held.table.founder !== enrolment?.key) turn.settleAnew();
  turn.enter('placed');
  turn.helloWithin(0);
}

/** Its table will never decide: the board goes back to having no place. Nothing of the table's life is kept but that it served. */
export function unseat(turn: Turn): void {
  const { state } = turn;
  const { record, site, enrolment } = state;
  const founded = heldTable(state)?.founder === enrolment?.key;
  turn.write({
    ...freshRecord(site, -1, turn.random as Incarnation),
    wasServer: record.wasServer,
    claim: { held: undefined, over: false, withdrew: founded || record.claim?.withdrew === true },
  });
  change(turn, { wants: undefined, owed: [] });
  sit(state);
  turn.settleAnew();
  turn.enter('unplaced');
  turn.helloWithin(0);
}

/** Asks the board at this place of a table for it; one question at a time. */
export function fetchTable(turn: Turn, founder: PublicKey, from: Place): void {
  if (mayFetch(turn, from)) turn.act({ kind: 'fetchTable', founder, from });
}
