// The device's site and cluster in words: what it is, what it waits for, who else is there, and what a person must do.
import type { ClusterStatus } from '../formation/cluster.ts';
import type { FormationView, PlaceView } from '../formation/view.ts';
import type { Alarm } from '../protocol/events.ts';
import type { Phase } from '../protocol/phases.ts';

/** What a phase means to people, one sentence. */
export const phaseWords: Readonly<Record<Phase, string>> = {
  listening: 'This device is up, is in no cluster yet and looks for the other boards of its site.',
  proposing: 'This device asks the other boards whether it may found the cluster.',
  founding: 'This device founds the cluster: k3s starts for the first time.',
  serving: 'This device is a server of the cluster.',
  joining: 'This device joins the cluster.',
  member: 'This device is a worker of the cluster.',
  yielding: 'This device leaves a cluster that is not the one of its site.',
  holding: 'This device waits for a person; what runs keeps running.',
  enrolling: 'This device has no place at its site yet and asks for one.',
};

/** What an alarm means, and what to do about it. */
const alarmWords: Readonly<Record<Alarm, string>> = {
  'roster-fork':
    'two rosters of this site carry the same number, or a newer one does not follow the one before: flash every device from one build, with the keys of one folder',
  'electors-changed':
    'a newer roster names other electors and is not obeyed: electors are fixed, build with the keys of the first build',
  'foreign-electors':
    'a device of this site goes by other electors: flash it from the same build as the others',
  clone: 'another board speaks for this place: switch one of the two off and flash it as another device',
  denied: 'this device was taken out of the site: it neither joins nor serves',
  disk: 'data could not be written, so it neither votes, founds nor joins: look whether it is full or worn out',
  'holds-data':
    'it holds data of a cluster that is not the one of its site: save what is needed, delete it, then restart this device',
  'two-clusters': 'the site has two clusters with more than one server: a person must choose which one stays',
  'memory-lost':
    'most of the boards that decide were flashed again: once it is sure that no other cluster runs, edgekiln-node resolve',
  'founder-lost':
    'the only server is gone and held data: bring it back, or flash its board again: then the site begins anew',
  'join-refused': 'the cluster did not let this device in',
  'no-place':
    'every place of the site is taken or enrolment is closed: a person gives it one with edgekiln-node resolve --replace NAME',
  'table-conflict': 'two tables of claimed places exist: a person must flash the boards that came second',
};

/** The alarms, each with what to do. */
export function alarmLines({ alarms }: FormationView): string[] {
  return alarms.map(({ alarm, about }) => `${alarmWords[alarm]} (${about})`);
}

/** What it waits for, if its phase is one of waiting. */
export function siteWait(view: FormationView, k3s: ClusterStatus | undefined): string | undefined {
  const doing = k3s?.doing === undefined ? '' : `; it ${k3s.doing}`;
  switch (view.phase) {
    case 'listening':
      return listeningWait(view.places);
    case 'proposing':
      return `a majority of the boards that decide: ${boardsSeen(view.places)}`;
    case 'founding':
      return `k3s to answer for the first time${doing}`;
    case 'joining':
      return `its place in the cluster that ${view.cluster?.founder ?? 'another board'} founded${doing}`;
    case 'holding':
      return 'a person: see the problems below';
    case 'member':
      return view.serverHeard ? ownK3s(k3s) : 'a server of its cluster to be heard again';
    case 'serving':
      return ownK3s(k3s);
    default:
      return undefined;
  }
}

/** In a cluster whose k3s does not work on this very device: its row would say nothing of that. */
function ownK3s(k3s: ClusterStatus | undefined): string | undefined {
  if (k3s?.k3s !== 'starting') return undefined;
  const doing = k3s.doing === undefined || k3s.doing === 'waits for k3s' ? '' : `; it ${k3s.doing}`;
  return `k3s to work on this device${doing}`;
}

function listeningWait(places: readonly PlaceView[]): string {
  const founding = places.find(({ seen, phase }) => seen === 'now' && phase === 'founding');
  if (founding !== undefined) return `the cluster that ${founding.name} founds`;
  const someServer = places.find(({ seen, server }) => seen === 'now' && server);
  if (someServer !== undefined) return `the cluster of ${someServer.name} to let it in`;
  if (places.length === 1) return 'the network to settle; then it founds its cluster';
  // Nobody is missing: the one whose turn it is founds within seconds.
  if (places.every(({ seen }) => seen === 'self' || seen === 'now'))
    return `one of the ${places.length} boards to found the cluster: all are seen`;
  return `the boards of its site: ${boardsSeen(places)}`;
}

/** `2 of 3 boards seen; shop-03 has not appeared`. */
export function boardsSeen(places: readonly PlaceView[]): string {
  const missing = places.filter(({ seen }) => seen === 'never').map(({ name }) => name);
  const silent = places.filter(({ seen }) => seen === 'earlier').map(({ name }) => name);
  const seen = places.length - missing.length;
  const parts = [`${seen} of ${places.length} boards seen`];
  if (missing.length > 0)
    parts.push(`${some(missing)} ${missing.length === 1 ? 'has' : 'have'} not appeared`);
  if (silent.length > 0) parts.push(`${some(silent)} ${silent.length === 1 ? 'is' : 'are'} silent now`);
  return parts.join('; ');
}

/** Rows of the status for the site's other nodes. */
export function siteRows(
  view: FormationView,
  k3s: ClusterStatus | undefined,
): readonly (readonly [name: string, value: string])[] {
  const { cluster, places } = view;
  const others = places.filter(({ seen }) => seen !== 'self');
  const rows: (readonly [string, string])[] = [['cluster', clusterWords(view)]];
  if (k3s?.nodes !== undefined) {
    for (const { name, role, ready } of k3s.nodes)
      rows.push([name, `${role}, ${ready ? 'ready' : 'NOT READY'}`]);
  } else if (others.length > 0 && others.length <= 16) {
    for (const other of others) rows.push([other.name, placeWords(other, cluster !== null)]);
  } else if (others.length > 0) rows.push(['boards', boardsSeen(places)]);
  return rows;
}

function clusterWords({ cluster }: FormationView): string {
  if (cluster === null) return 'none yet';
  const { id, founder, servers, members, decided } = cluster;
  const count = (number: number, word: string): string => `${number} ${word}${number === 1 ? '' : 's'}`;
  const size = `${count(servers, 'server')}, ${count(members, 'node')}`;
  return `${id}, founded by ${founder}, ${size}${decided ? ', decided' : ', not decided yet'}`;
}

/** A worker of a cluster says nothing while it hears a server: its silence is no news. */
function placeWords({ seen, phase, server }: PlaceView, inCluster: boolean): string {
  if (seen === 'never') return inCluster ? 'not heard since this device started' : 'has not appeared';
  const what = server ? 'server' : (phase ?? 'heard');
  return seen === 'earlier' && !(inCluster && phase === 'member') ? `${what}, silent now` : what;
}

function some(names: readonly string[]): string {
  return names.length <= 5
    ? names.join(', ')
    : `${names.slice(0, 4).join(', ')} and ${names.length - 4} more`;
}
