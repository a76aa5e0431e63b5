// The kernel keeps one table of neighbours a family for all network namespaces together, and bounds it: 1,024 entries as
// a rule. What is plenty for a machine is little for many hosts on it, each of which may know each other one. Beyond it
// nobody finds anybody ("neighbor table overflow" in the kernel's log).
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const families = ['ipv4', 'ipv6'] as const;

export class NeighbourTables {
  readonly #root: string;
  /** What stood in each file before. */
  readonly #before = new Map<string, string>();

  /** `root` is /proc/sys/net. */
  constructor(root = '/proc/sys/net') {
    this.#root = root;
  }

  /** Room for so many hosts that all know each other. Bounds are only raised; few hosts fit into the usual ones. */
  makeRoom(hosts: number): void {
    for (const family of families) {
      // Of more than the second the kernel throws away what was not used for five seconds, of more than the third all.
      this.#raise(`${family}/neigh/default/gc_thresh3`, 2 * hosts * hosts);
      this.#raise(`${family}/neigh/default/gc_thresh2`, hosts * hosts);
    }
  }

  /** As it was before. */
  putBack(): void {
    for (const [path, text] of this.#before) writeFileSync(path, text);
    this.#before.clear();
  }

  #raise(name: string, wanted: number): void {
    const path = join(this.#root, name);
    try {
      const text = readFileSync(path, 'utf8');
      if (Number(text) >= wanted) return;
      writeFileSync(path, `${wanted}\n`);
      if (!this.#before.has(path)) this.#before.set(path, text);
    } catch {
      // Not ours to set, as in a container: then the usual bounds hold, enough for some twenty hosts.
    }
  }
}
