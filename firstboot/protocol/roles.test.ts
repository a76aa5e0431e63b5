import { describe, expect, it } from 'vitest';
import { place } from '../../formats/roster.ts';
import { runServers } from '../../lab/simulated/servers.ts';
import { applyChange, emptyJournal, type Journal, mayBegin, watched } from './journal.ts';
import { type ClusterView, decideRoles, defaultRoles, type NodeView } from './roles.ts';

const node = (index: number, change: Partial<NodeView> = {}): NodeView => ({
  place: place(index),
  name: `n${index}`,
  uid: `u${index}`,
  resourceVersion: '1',
  eligible: true,
  class: 0,
  domain: 'a',
  server: false,
  voter: false,
  ready: true,
  unchangedFor: 3_600_000,
  fit: true,
  ...change,
});
const server = (index: number, change: Partial<NodeView> = {}) =>
  node(index, { server: true, voter: true, ...change });
const decide = (nodes: readonly NodeView[], journal: Journal = emptyJournal, quorum = true) =>
  decideRoles({ nodes, quorum, journal, journalVersion: '7' } satisfies ClusterView, defaultRoles);

describe('roles', () => {
  it('one server is enough for two devices', () => {
    expect(decide([server(1), node(2)])).toEqual({
      kind: 'nothing',
      why: 'as many servers as there should be',
    });
  });

  it('from three on, two are promoted at once: other domains first, then class, then place', () => {
    const decision = decide([server(1), node(2), node(3, { class: 1 }), node(4, { domain: 'b', class: 2 })]);
    expect(decision).toMatchObject({
      kind: 'journal',
      version: '7',
      change: { kind: 'begin', operation: { kind: 'grow', candidates: [4, 2] } },
    });
  });

  it('a dead server is replaced after ten minutes of unbroken watching, not before', () => {
    const nodes = (since: number) => [
      server(1),
      server(2),
      server(3, { ready: false, unchangedFor: since }),
      node(4),
    ];
    expect(decide(nodes(599_000))).toMatchObject({ kind: 'nothing' });
    expect(decide(nodes(600_000))).toMatchObject({
      change: { operation: { kind: 'replace', candidates: [4] } },
    });
  });

  it('without a candidate, or with two away, it is left', () => {
    const dead = server(3, { ready: false });
    expect(decide([server(1), server(2), dead])).toEqual({
      kind: 'nothing',
      why: 'no candidate: its return heals',
    });
    expect(decide([server(1), server(2, { ready: false }), dead, node(4)])).toMatchObject({
      kind: 'nothing',
    });
  });

  it('one that returns after removal has twice the grace', () => {
    const nodes = [server(1), server(2), server(3, { ready: false, unchangedFor: 700_000 }), node(4)];
    expect(decide(nodes, { ...emptyJournal, returns: [place(3)] })).toMatchObject({ kind: 'nothing' });
  });

  it('deletes exactly the object that was seen, then promotes; undoes if it came back', () => {
    const dead = { name: 'n3', uid: 'u3', resourceVersion: '1' };
    const operation = {
      id: 4,
      kind: 'replace',
      candidates: [place(4)],
      tried: [place(3)],
      dead,
      age: 0,
    } as const;
    const journal = { ...emptyJournal, operation };
    const others = [server(1), server(2), node(4)];
    const gone = server(3, { ready: false, resourceVersion: '9' });
    expect(decide([...others, gone], journal)).toEqual({
      kind: 'delete',
      operation: 4,
      ...dead,
      resourceVersion: '9',
    });
    expect(decide(others, journal)).toEqual({ kind: 'promote', operation: 4, places: [4] });
    expect(decide([...others, server(3)], journal)).toMatchObject({
      change: { kind: 'end', outcome: 'undone' },
    });
    expect(decide([server(1), server(2), server(4)], journal)).toMatchObject({ change: { outcome: 'done' } });
  });

  it('two voters and nobody else to be had: journalled first, then the new one is taken back', () => {
    const places = [place(2), place(3)];
    const base = {
      id: 4,
      kind: 'grow',
      candidates: places,
      tried: [],
      dead: undefined,
      age: 400_000,
    } as const;
    const journal: Journal = { ...emptyJournal, operation: base };
    const nodes = [server(1), server(2), node(3)];
    const retreat = decide(nodes, journal);
    expect(retreat).toMatchObject({ kind: 'journal', change: { kind: 'retreat', dead: { name: 'n2' } } });
    if (retreat.kind !== 'journal') throw new Error(retreat.kind);
    const after = applyChange(journal, retreat.change);
    expect(decide(nodes, after)).toMatchObject({ kind: 'delete', operation: 4, name: 'n2', uid: 'u2' });
    expect(decide([server(1), node(3)], after)).toMatchObject({ change: { kind: 'end', outcome: 'undone' } });
    // The other one became a voter after all: nobody is taken back.
    expect(decide([server(1), server(2), server(3)], after)).toMatchObject({ change: { kind: 'end' } });
  });

  it('four voters, because one that was given up came all the same: one is taken back', () => {
    const four = [server(1), server(2), server(3), server(4, { class: 2 }), node(5)];
    const decision = decide(four);
    expect(decision).toMatchObject({ change: { kind: 'begin', operation: { dead: { name: 'n4' } } } });
    if (decision.kind !== 'journal') throw new Error(decision.kind);
    const journal = applyChange(emptyJournal, decision.change);
    expect(decide(four, journal)).toMatchObject({ kind: 'delete', name: 'n4', uid: 'u4' });
    expect(decide(four.toSpliced(3, 1), journal)).toMatchObject({ change: { kind: 'end' } });
    const away = four.with(1, server(2, { ready: false, unchangedFor: 1 }));
    expect(decide(away)).toMatchObject({ kind: 'nothing' });
    expect(decide(away, journal)).toMatchObject({ change: { kind: 'end' } });
  });

  it('quorum lost is an alarm and nothing else', () => {
    expect(decide([server(1)], emptyJournal, false)).toMatchObject({ kind: 'alarm' });
  });

  it('budgets count whole operations', () => {
    const begun = { ...emptyJournal, clock: 700_000, begun: [100_001] };
    expect(mayBegin(begun, 'grow', 'grow')).toBe('one operation in ten minutes');
    const often = { ...begun, clock: 5e6, replaced: [1, 1e6, 2e6] };
    expect(mayBegin(often, 'replace', 'mend')).toBe('three replacements a day');
    expect(mayBegin({ ...often, clock: 2e8 }, 'replace', 'mend')).toBeUndefined();
  });

  it('three replacements a day, however often servers grew', () => {
    const operation = { candidates: [], tried: [], dead: undefined, age: 0 };
    const begunBy = (kinds: readonly ('grow' | 'replace')[]) =>
      kinds.reduce<Journal>(
        (journal, kind) => applyChange(journal, { kind: 'begin', operation: { kind, ...operation } }),
        emptyJournal,
      );
    const twice = begunBy(['grow', 'replace', 'grow', 'grow', 'replace', 'grow']);
    expect(mayBegin(twice, 'replace', 'mend')).toBeUndefined();
    const thrice = begunBy(['replace', 'grow', 'replace', 'replace', 'grow']);
    expect(mayBegin(thrice, 'replace', 'mend')).toBe('three replacements a day');
    expect(mayBegin(thrice, 'grow', 'mend')).toBeUndefined();
  });

  it('what mends waits for no pause, unless the last operation failed', () => {
    const begun = { ...emptyJournal, clock: 700_000, begun: [690_000] };
    // A server was flashed again, and is an agent now: two voters are not left alone for ten minutes.
    expect(decide([server(1), server(2), node(3)], begun)).toMatchObject({
      change: { operation: { kind: 'grow', candidates: [3] } },
    });
    const dead = server(3, { ready: false });
    expect(decide([server(1), server(2), dead, node(4)], begun)).toMatchObject({
      change: { operation: { kind: 'replace', candidates: [4] } },
    });
    expect(decide([server(1), node(2), node(3)], begun)).toEqual({
      kind: 'nothing',
      why: 'one operation in ten minutes',
    });
    const operation = { id: 1, kind: 'grow', candidates: [], tried: [], dead: undefined, age: 0 } as const;
    const failed = applyChange({ ...begun, operation }, { kind: 'end', outcome: 'undone' });
    expect(decide([server(1), server(2), node(3)], failed)).toEqual({
      kind: 'nothing',
      why: 'one operation in ten minutes',
    });
    expect(decide([server(1), server(2), node(3)], watched(failed, 600_000))).toMatchObject({
      change: { kind: 'begin' },
    });
  });
});

describe('servers over days, from seeds', () => {
  it('no budget broken, no living server deleted, no quorum lost by a decision', () => {
    const marks = new Map<string, number>();
    for (let seed = 0; seed < 150; seed += 1) {
      const result = runServers(seed);
      expect(result.violations, `seed ${seed}`).toEqual([]);
      for (const [mark, count] of result.marks) marks.set(mark, (marks.get(mark) ?? 0) + count);
    }
    for (const mark of [
      'operation done',
      'operation undone',
      'delete: conflict',
      'journal: conflict',
      'a removed server returns',
    ]) {
      expect(marks.get(mark), mark).toBeGreaterThan(0);
    }
  });

  it('a site where nothing fails has one server below three devices, three voters from then on', () => {
    for (let seed = 0; seed < 150; seed += 1) {
      const { calm, voters, devices } = runServers(seed);
      if (calm) expect(voters, `seed ${seed}`).toBe(devices < 3 ? 1 : 3);
    }
  });
});
