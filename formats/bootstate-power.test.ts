// Boot script, initrd and agent write the boot state by turns, and the power goes at any moment: of what was not flushed,
// any sectors may be there. A copy must always be whole, and what was flushed must never be undone.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  type BootState,
  bootStateSize,
  chooseCopy,
  chooseSlot,
  confirmed,
  decodeBootState,
  encodeBootState,
  filled,
  flashedState,
  otherSlot,
  postponed,
  type SlotName,
} from './bootstate.ts';

const sector = 512;

/** The two copies on a medium with a volatile cache. */
class Copies {
  readonly #medium: [Buffer, Buffer];
  #pending: { readonly copy: 0 | 1; readonly state: BootState }[] = [];
  /** The newest state that was flushed. */
  flushed: BootState;

  constructor(first: BootState, second: BootState) {
    this.#medium = [encodeBootState(first), encodeBootState(second)];
    this.flushed = first;
  }

  read(): ReturnType<typeof chooseCopy> & { readonly whole: readonly boolean[] } {
    const seen: [Buffer, Buffer] = [Buffer.from(this.#medium[0]), Buffer.from(this.#medium[1])];
    for (const { copy, state } of this.#pending) encodeBootState(state).copy(seen[copy]);
    const [first, second] = [decodeBootState(seen[0]), decodeBootState(seen[1])];
    return { ...chooseCopy([first, second]), whole: [first !== undefined, second !== undefined] };
  }

  write(copy: 0 | 1, state: BootState): void {
    this.#pending.push({ copy, state });
  }

  flush(): void {
    for (const { copy, state } of this.#pending) encodeBootState(state).copy(this.#medium[copy]);
    this.flushed = this.#pending.at(-1)?.state ?? this.flushed;
    this.#pending = [];
  }

  /** `survives` says of each sector on its way whether it is there. Gives the states that may be in force now. */
  cut(survives: () => boolean): readonly BootState[] {
    const possible = [this.flushed, ...this.#pending.map(({ state }) => state)];
    for (const { copy, state } of this.#pending) {
      const bytes = encodeBootState(state);
      for (let at = 0; at < bootStateSize; at += sector)
        if (survives()) bytes.copy(this.#medium[copy], at, at, at + sector);
    }
    this.#pending = [];
    return possible;
  }
}

/** What happens at one boot, in order; the power may go before and behind each write and each flush. */
const boot = fc.record({
  /** How many of the steps are made before the power goes; more than there are: the device is shut down in order. */
  steps: fc.nat(9),
  says: fc.constantFrom('confirm', 'fill', 'update', 'put off', 'nothing'),
  sectors: fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }),
});

it('a copy is whole and nothing that was flushed is undone, whenever the power goes', () => {
  let cuts = 0;
  fc.assert(
    fc.property(fc.nat(9), fc.array(boot, { minLength: 1, maxLength: 25 }), (seq, boots) => {
      const start: BootState = { ...flashedState, seq };
      const copies = new Copies(start, { ...start, seq: (seq + 9) % 10 });
      for (const { steps, says, sectors } of boots) {
        const run = lifeOf(copies, says);
        let ended = false;
        for (let step = 0; step < steps && !ended; step += 1) ended = run.next().done === true;
        if (ended) continue;
        const chances = sectors.values();
        const possible = copies.cut(() => chances.next().value ?? true);
        const { current } = copies.read();
        expect(possible).toContainEqual(current);
        if (current !== undefined) copies.flushed = current;
        expect([current?.a, current?.b]).toContain('good');
        cuts += 1;
      }
    }),
    { numRuns: 1500 },
  );
  expect(cuts).toBeGreaterThan(5_000);
});

/** One boot: each step is one write or one flush. */
function* lifeOf(copies: Copies, says: string): Generator<void, void> {
  // GRUB counts the attempt, without a flush.
  const found = copies.read();
  if (found.current === undefined) throw new Error('both copies are lost');
  const { order, next } = chooseSlot(found.current);
  yield;
  if (next !== undefined) {
    copies.write(found.overwrite, next);
    yield;
  }
  // The initrd flushes, and lays the whole copy over one that is not.
  copies.flush();
  yield;
  const { whole, current } = copies.read();
  if (current === undefined) throw new Error('both copies are lost');
  const torn = whole.indexOf(false);
  if (torn === 0 || torn === 1) {
    copies.write(torn, current);
    yield;
    copies.flush();
    yield;
  }
  const running = order[0] ?? 'a';
  for (const state of statesOf(says, running, current)) {
    copies.write(copies.read().overwrite, state);
    yield;
    copies.flush();
    yield;
  }
}

/** The agent's states of one boot, one after the other. */
function* statesOf(says: string, running: SlotName, found: BootState): Generator<BootState> {
  const other = otherSlot(running);
  if (says === 'put off' && found[running] === 'trial' && found[other] === 'good') {
    yield postponed(found, running, true);
    return;
  }
  if (says === 'nothing') return;
  const now = confirmed(found, running);
  if (now !== found) yield now;
  if (now[running] !== 'good' || now.primary !== running) return;
  if (says === 'fill') yield filled(now, other, 'good');
  if (says === 'update') yield filled(now, other, 'trial');
}
