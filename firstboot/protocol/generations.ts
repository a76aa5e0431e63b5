// From one generation to the next: only by proof, and followed only with proof.
import type { Place } from '../../formats/roster.ts';
import { certificateHolds, learnDecision } from './certificates.ts';
import { alive, serverOf } from './discovery.ts';
import { mayFetch, onFetched } from './fetches.ts';
import type { Loss, Message } from './messages.ts';
import { proposeSoon } from './proposer.ts';
import { lossStatement, type Signatures, verifyBy } from './signatures.ts';
import type { Site } from './site.ts';
import type { State } from './state.ts';
import type { Certificate, Dossier, Past, Proof, Signed } from './terms.ts';
import { companySilent, helloEvery, lossCounts, lostAfter, serverSilent } from './timings.ts';
import type { Turn } from './turn.ts';

/** A proof counts only for the generation whose certificate it comes with. */
function proofHolds(site: Site, signatures: Signatures, certificate: Certificate, proof: Proof): boolean {
  const { generation, value } = certificate;
  const signedBy = (cause: Loss['cause'], { place, incarnation, signature }: Signed): boolean => {
    const statement = lossStatement(cause, site, generation, value.cluster, place, incarnation);
    return verifyBy(signatures, site, place, statement, signature);
  };
  if (proof.kind === 'gone') return proof.signer.place === value.founder && signedBy('gone', proof.signer);
  const electors = new Set(proof.signers.map((s) => s.place).filter((p) => (site.slots[p] ?? -1) >= 0));
  if (electors.size !== proof.signers.length || electors.size < site.quorum) return false;
  return proof.signers.every((signer) => signedBy('silent', signer));
}

function dossierHolds(site: Site, signatures: Signatures, dossier: Dossier): boolean {
  const { generation, past, decided } = dossier;
  if (past.length !== generation - 1) return false;
  if (past.length > 0 && site.policy.kind !== 'first-online') return false;
  const chained = past.every(
    ({ certificate, proof }, index) =>
      certificate.generation === index + 1 &&
      certificateHolds(site, signatures, certificate) &&
      proofHolds(site, signatures, certificate, proof),
  );
  if (!chained) return false;
  return (
    decided === undefined ||
    (decided.generation === generation && certificateHolds(site, signatures, decided))
  );
}

/** What others fetch from this device. */
export function dossierOf({ record }: State): Dossier {
  return { generation: record.generation, past: record.past, decided: record.decided };
}

/** Asks a peer that is ahead for the proof; one at a time. */
export function followIfAhead(turn: Turn, message: Message): void {
  const { state, now } = turn;
  const { record } = state;
  const { body, generation, from } = message;
  const decidedThere = body.kind === 'hello' && body.decided !== undefined;
  const ahead =
    generation > record.generation ||
    (generation === record.generation && decidedThere && record.decided === undefined);
  if (
    generation < record.generation ||
    (generation === record.generation &&
      record.decided !== undefined &&
      body.kind === 'hello' &&
      !decidedThere)
  ) {
    // Not more often than it helps: a thief could make it the pace of the site.
    if (now - state.since.hello > helloEvery) turn.helloWithin(500);
  }
  if (ahead && !state.diskFailed && mayFetch(turn, from)) turn.act({ kind: 'fetchDossier', from });
}

export function onDossier(turn: Turn, dossier: Dossier): void {
  const { state, signatures } = turn;
  const { record, site } = state;
  const { generation, decided } = dossier;
  const newer = generation > record.generation;
  const decides = generation === record.generation && decided !== undefined && record.decided === undefined;
  const useful = (newer || decides) && dossierHolds(site, signatures, dossier);
  onFetched(turn, useful);
  if (state.diskFailed || !(newer || decides)) return;
  if (!useful) {
    turn.note('generation: dossier refused');
    return;
  }
  if (newer) {
    turn.note('generation: followed');
    enterGeneration(turn, generation, dossier.past);
  }
  if (decided !== undefined) learnDecision(turn, decided);
}

function enterGeneration(turn: Turn, generation: number, past: readonly Past[]): void {
  const { state, now } = turn;
  turn.write({
    generation,
    past,
    promised: undefined,
    accepted: undefined,
    decided: undefined,
    seen: undefined,
  });
  state.proposal = undefined;
  state.losses = [];
  turn.since('serverless');
  // All who are in no cluster may found again from this moment on: they rank anew instead of founding each for itself.
  turn.settleAnew();
  turn.dueBy('watch', now);
  turn.helloWithin(0);
  proposeSoon(turn);
}

/** Is every condition met under which this elector may sign that the decided founder is lost? */
function mayCallLost(state: State, now: number): boolean {
  const { record, site, place } = state;
  const { decided, seen } = record;
  if (decided === undefined || site.policy.kind !== 'first-online') return false;
  if ((site.slots[place] ?? -1) < 0 || record.amnesiac || state.diskFailed || state.cloned) return false;
  const { cluster, founder } = decided.value;
  if (state.doubles.includes(founder)) return false;
  if (now - state.since.serverless < lostAfter || serverOf(state, cluster, now) !== undefined) return false;
  if (seen?.cluster !== cluster || seen.shared) return false;
  return !seen.data || site.refound;
}

/** Looked at whenever this device watches for its server. */
export function watchForLoss(turn: Turn): void {
  const { state, now } = turn;
  const { decided, amnesiac, membership } = state.record;
  if (decided === undefined) return;
  const { cluster } = decided.value;
  const serves = membership?.identity.cluster === cluster && membership.role !== 'agent';
  if (serves || !quorumAround(state, now) || serverOf(state, cluster, now) !== undefined) {
    turn.since('serverless');
    return;
  }
  if (isGone(state) && !amnesiac && !state.cloned) {
    sayLoss(turn, 'gone', decided);
    return;
  }
  if (mayCallLost(state, now)) sayLoss(turn, 'silent', decided);
  else if (now - state.since.serverless >= lostAfter) turn.alarm('founder-lost', cluster);
}

/** This place was the decided cluster's only server and holds nothing of it: re-flashed, or set aside. */
function isGone({ record, place, site }: State): boolean {
  const founder = record.decided?.value.founder === place && record.membership === undefined;
  return (
    founder &&
    site.policy.kind === 'first-online' &&
    record.candidate === undefined &&
    record.seen?.shared !== true
  );
}

function sayLoss(turn: Turn, cause: Loss['cause'], { value, generation }: Certificate): void {
  const { state } = turn;
  const { site, place, record } = state;
  turn.note(cause === 'gone' ? 'generation: gone' : 'generation: lost');
  const statement = lossStatement(cause, site, generation, value.cluster, place, record.incarnation);
  const signature = turn.signatures.sign(statement);
  turn.say(0, { kind: 'loss', cause, cluster: value.cluster, signature });
  collect(turn, place, record.incarnation, cause, signature);
}

export function onLoss(turn: Turn, message: Message, { cause, cluster, signature }: Loss): void {
  const { state, now } = turn;
  const { decided, generation, seen } = state.record;
  if (message.generation !== generation || decided?.value.cluster !== cluster) return;
  const { site } = state;
  const statement = lossStatement(cause, site, generation, cluster, message.from, message.incarnation);
  if (!verifyBy(turn.signatures, site, message.from, statement, signature)) return;
  if (serverOf(state, cluster, now) !== undefined || seen?.shared === true) return;
  collect(turn, message.from, message.incarnation, cause, signature);
}

function collect(
  turn: Turn,
  place: Place,
  incarnation: Signed['incarnation'],
  cause: Loss['cause'],
  signature: Signed['signature'],
): void {
  const { state, now } = turn;
  const { site, record } = state;
  const { decided } = record;
  if (decided === undefined || state.diskFailed || site.policy.kind !== 'first-online') return;
  if (state.doubles.includes(decided.value.founder)) return;
  const signed: Signed = { place, incarnation, signature };
  if (cause === 'gone') {
    // A board is not flashed within three beacons: one that says so earlier may be a second one.
    const silent = now - state.since.serverless >= serverSilent;
    if (silent && place === decided.value.founder) open(turn, decided, { kind: 'gone', signer: signed });
    return;
  }
  if ((site.slots[place] ?? -1) < 0) return;
  const others = state.losses.filter((loss) => loss.signed.place !== place && now - loss.at <= lossCounts);
  state.losses = [...others, { signed, cluster: decided.value.cluster, at: now }];
  if (state.losses.length < site.quorum) return;
  open(turn, decided, { kind: 'lost', signers: state.losses.map((loss) => loss.signed) });
}

function open(turn: Turn, certificate: Certificate, proof: Proof): void {
  const { generation, past } = turn.state.record;
  turn.note('generation: opened');
  enterGeneration(turn, generation + 1, [...past, { certificate, proof }]);
}

/** Whether a quorum of electors, this device included, was heard lately: silence alone proves nothing. */
function quorumAround(state: State, now: number): boolean {
  const { site, place, peers } = state;
  const around = site.electors.filter(
    (elector) => elector === place || alive(peers[elector], now, companySilent),
  );
  return around.length >= site.quorum;
}
