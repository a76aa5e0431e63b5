// Whether the device does again what it did before the slot on trial: the last condition for confirming it.
import type { ClusterStatus } from '../formation/cluster.ts';
import type { FormationView } from '../formation/view.ts';

/** What the device's part in its site shows; a part that has not begun is undefined. */
interface PartView {
  readonly formation: FormationView | undefined;
  readonly k3s: ClusterStatus;
}

/** The device takes part in its site, and where it was in a cluster, its k3s works and its node is Ready again. */
export function isBack(part: PartView | undefined): boolean {
  if (part?.formation === undefined) return false;
  const { formation, k3s } = part;
  if (formation.phase !== 'serving' && formation.phase !== 'member') return true;
  const own = formation.places.find(({ seen }) => seen === 'self')?.name;
  // A worker cannot list nodes: its k3s is said to run only while its node is Ready.
  return k3s.k3s === 'running' && k3s.nodes?.find(({ name }) => name === own)?.ready !== false;
}
