// What was acknowledged is never lost and never differs, whatever is lost, late, cut off or restarted.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Envelope, Stored } from './messages.ts';
import { Replica } from './replica.ts';

type Node = { replica: Replica<number, number>; disk: Stored<number>; up: boolean };
const ids = [1, 2, 3];
const peers = ids.map((id) => ({ id, voter: true }));
const blank = (): Stored<number> => ({
  term: 0,
  vote: undefined,
  base: { index: 0, term: 0 },
  entries: [],
});
const copyOf = (stored: Stored<number>): Stored<number> => ({ ...stored, entries: [...stored.entries] });

/** One run of three copies; `draws` decides everything. Gives back how many values were acknowledged. */
function run(draws: readonly number[]): number {
  let drawn = 0;
  const draw = (): number => (draws[drawn++ % draws.length] ?? 0) / 1000;
  const nodes = new Map<number, Node>();
  const boot = (id: number, disk: Stored<number>, now: number): void => {
    const replica = new Replica<number, number>(id, copyOf(disk), peers, now, draw);
    nodes.set(id, { replica, disk, up: true });
  };
  for (const id of ids) boot(id, blank(), 0);
  const acknowledged = new Map<number, number>();
  let wire: Envelope<number, number>[] = [];
  const settle = (node: Node, said: readonly Envelope<number, number>[]): void => {
    node.disk = copyOf(node.replica.stored);
    node.replica.settled();
    wire.push(...said);
    for (const entry of node.replica.stored.entries) {
      if (entry.index > node.replica.commit) break;
      const known = acknowledged.get(entry.index);
      if (known === undefined) acknowledged.set(entry.index, entry.value);
      else if (entry.value !== known) throw new Error(`entry ${entry.index}: ${known}, then ${entry.value}`);
    }
  };
  let value = 0;
  for (let now = 0; now < 60_000; now += 100) {
    const calm = now > 45_000;
    for (const [id, node] of nodes) {
      if (!node.up) {
        if (calm || draw() < 0.02) boot(id, node.disk, now);
        continue;
      }
      if (!calm && draw() < 0.004) {
        node.up = false;
        continue;
      }
      settle(node, node.replica.tick(now));
      if (node.replica.role === 'leader' && draw() < 0.3) {
        value += 1;
        settle(node, node.replica.propose(value, now).messages);
      }
    }
    const due = wire;
    wire = [];
    for (const envelope of due) {
      if (!calm && draw() < 0.15) continue;
      if (!calm && draw() < 0.2) {
        wire.push(envelope);
        continue;
      }
      const node = nodes.get(envelope.to);
      if (node?.up === true) settle(node, node.replica.handle(envelope.message, now));
    }
  }
  const leaders = [...nodes.values()].filter((node) => node.replica.role === 'leader');
  expect(leaders.length, 'leaders after 15 s of calm').toBe(1);
  for (const [index, kept] of acknowledged) {
    expect(leaders[0]?.replica.stored.entries[index - 1]?.value, `entry ${index}`).toBe(kept);
  }
  return acknowledged.size;
}

it('keeps what it acknowledged', () => {
  let most = 0;
  fc.assert(
    fc.property(fc.array(fc.nat(999), { minLength: 997, maxLength: 997 }), (draws) => {
      most = Math.max(most, run(draws));
    }),
    { numRuns: 15 },
  );
  expect(most).toBeGreaterThan(20);
});

it('acknowledges nothing alone', () => {
  const alone = new Replica<number, number>(1, blank(), peers, 0, () => 0.5);
  for (let now = 0; now < 30_000; now += 100) alone.tick(now);
  expect([alone.role === 'leader', alone.commit]).toEqual([false, 0]);
});
