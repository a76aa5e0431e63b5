// The k3s of a device that has none it could start: it sees the others, and neither founds nor joins.
import type { LocalCluster } from './cluster.ts';

/** `why` in words for the status. */
export function withoutK3s(why: string): LocalCluster {
  return {
    store: () => Promise.resolve(undefined),
    capable: () => Promise.resolve({ capable: false, why }),
    carryOut: () => {},
    view: () => ({ k3s: 'stopped', role: undefined, doing: undefined, nodes: undefined, problems: [why] }),
    stop: () => Promise.resolve(),
  };
}
