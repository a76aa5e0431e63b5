// Which former selves of electors were remembered when words were given, in truth: by what lay on the speaker's disk. By it
// two decisions of one generation are excused, where docs/formation.md ("Forgotten votes") does not promise that they agree.
import type { Accept, Message } from '../../firstboot/protocol/messages.ts';
import type { Record } from '../../firstboot/protocol/record.ts';
import {
  type Ballot,
  type Certificate,
  compareBallots,
  type Incarnation,
} from '../../firstboot/protocol/terms.ts';
import type { Place } from '../../formats/roster.ts';
import type { Board } from './board.ts';
import type { World } from './world.ts';

/** The checkers' own: a protocol that counts wrongly is judged by it. */
export function majorityOf(electors: number): number {
  return Math.floor(electors / 2) + 1;
}

/** One elector's word for a ballot, and every incarnation that it had ever known, of any place, when it first gave it. */
interface Word extends Self {
  readonly known: ReadonlySet<number>;
  /** In the order in which words were given. */
  readonly at: number;
}

/** One life of a place's memory. */
interface Self {
  readonly place: Place;
  readonly incarnation: Incarnation;
}

interface Asked extends Accept {
  readonly generation: number;
  readonly electors: string;
}

const nameOf = ({ round, place, incarnation }: Ballot): string => `${round}.${place}.${incarnation}`;
const selfOf = (place: Place, incarnation: number | undefined): string => `${place}.${incarnation}`;
const isSame = (one: Self, other: Self) => one.place === other.place && one.incarnation === other.incarnation;
const nobody: ReadonlySet<number> = new Set();

export class Memory {
  readonly #disks = new Map<Board, { readonly record: Record; readonly known: ReadonlySet<number> }>();
  /** By ballot: who promised it, and who accepted it. A ballot is named once in all generations. */
  readonly #promised = new Map<string, Word[]>();
  readonly #accepted = new Map<string, Word[]>();
  readonly #asked = new Map<string, Asked>();
  /** By self that recovers: who told it what it may have said. */
  readonly #told = new Map<string, Map<Place, Incarnation>>();
  /** Selves whose forgotten votes a person took as forgotten. */
  readonly #letGo = new Set<string>();
  #count = 0;

  persisted(board: Board, record: Record): void {
    const before = this.#disks.get(board);
    const known = knownTo(record, before);
    this.#disks.set(board, { record, known });
    const { accepted, incarnation } = record;
    // One that recovers takes over what others accepted: that is not its own word.
    const taken = before?.record.amnesiac === true || before?.record.accepted === accepted;
    if (accepted !== undefined && !taken)
      this.#keep(this.#accepted, accepted.ballot, { place: board.place, incarnation }, known);
  }

  sent(board: Board, { from, to, incarnation, generation, electors, body }: Message): void {
    const known = this.#disks.get(board)?.known ?? nobody;
    if (body.kind === 'promise') {
      if (compareBallots(body.promised, body.ballot) === 0)
        this.#keep(this.#promised, body.ballot, { place: from, incarnation }, known);
    } else if (body.kind === 'accepted') {
      if (body.signature !== undefined)
        this.#keep(this.#accepted, body.ballot, { place: from, incarnation }, known);
    } else if (body.kind === 'accept') {
      this.#keep(this.#promised, body.ballot, { place: from, incarnation }, known); // its own promise is not sent
      const name = nameOf(body.ballot);
      if (!this.#asked.has(name)) this.#asked.set(name, { ...body, generation, electors });
    } else if (body.kind === 'recovered' && to !== 0) {
      const slot = board.stamped.electors.indexOf(to);
      const self = selfOf(to, body.vector[slot]);
      this.#told.set(self, (this.#told.get(self) ?? new Map()).set(from, incarnation));
    }
  }

  wiped(board: Board): void {
    this.#disks.delete(board);
  }

  /** A person takes what this board forgot as forgotten. */
  letGo(board: Board): void {
    this.#letGo.add(selfOf(board.place, this.#disks.get(board)?.record.incarnation));
  }

  /**
   * Not promised is only: the first ballot after a decision in which anybody accepted something else rests on a quorum in
   * which all who had signed the decision had forgotten it, and nobody whose word it needed could have known.
   */
  excuses(world: World, a: Certificate, b: Certificate): boolean {
    const [first, second] = compareBallots(a.ballot, b.ballot) < 0 ? [a, b] : [b, a];
    const table = this.#asked.get(nameOf(first.ballot))?.electors;
    if (world.overcrowded && this.#asked.get(nameOf(second.ballot))?.electors !== table) return true;
    const turning = this.#turningBetween(first, second, table);
    if (turning === undefined) return false;
    const electors = world.boards[0]?.stamped.electors ?? [];
    const quorum = majorityOf(electors.length);
    const both = first.signers.flatMap((signed) => {
      const incarnation = turning.promisers[electors.indexOf(signed.place)] ?? 0;
      return incarnation === 0 ? [] : [{ signed, promised: { place: signed.place, incarnation } }];
    });
    return (
      both.length >= 2 * quorum - electors.length &&
      both.every(({ signed, promised }) => {
        if (signed.incarnation === promised.incarnation) return false;
        const [signing, promising] = [this.#words(first.ballot), this.#words(turning.ballot)];
        // A ballot may be later and its promise earlier: then it is the promise that was forgotten.
        const before = promising.find((one) => isSame(one, promised))?.at ?? 0;
        const isPromiseFirst = before < (signing.find((one) => isSame(one, signed))?.at ?? 0);
        const [former, later] = isPromiseFirst ? [promised, signed] : [signed, promised];
        const owes = isPromiseFirst
          ? this.#promised.get(nameOf(turning.ballot))
          : this.#accepted.get(nameOf(first.ballot));
        const rests = isPromiseFirst ? signing : promising;
        return this.#forgot(former, later, owes ?? [], rests, electors.length - quorum + 1);
      })
    );
  }

  #keep(words: Map<string, Word[]>, ballot: Ballot, self: Self, known: ReadonlySet<number>): void {
    const name = nameOf(ballot);
    const kept = words.get(name) ?? [];
    if (kept.some((one) => isSame(one, self))) return;
    this.#count += 1;
    words.set(name, [...kept, { ...self, known, at: this.#count }]);
  }

  #words(ballot: Ballot): readonly Word[] {
    const name = nameOf(ballot);
    const promisers = this.#asked.get(name)?.promisers ?? [];
    const promised = (this.#promised.get(name) ?? []).filter((one) => promisers.includes(one.incarnation));
    return [...promised, ...(this.#accepted.get(name) ?? [])];
  }

  /** The lowest ballot above the decision's, up to the second's, in which another identity was asked for, and accepted by anybody. */
  #turningBetween(
    { ballot, generation, value }: Certificate,
    second: Certificate,
    electors: string | undefined,
  ): Asked | undefined {
    return [...this.#asked.values()]
      .filter(
        (one) =>
          one.generation === generation &&
          one.electors === electors &&
          one.value.cluster !== value.cluster &&
          compareBallots(one.ballot, ballot) > 0 &&
          compareBallots(one.ballot, second.ballot) <= 0 &&
          this.#accepted.has(nameOf(one.ballot)),
      )
      .toSorted((one, other) => compareBallots(one.ballot, other.ballot))[0];
  }

  /** Had `later` forgotten what it said as `former`, and could nobody whose word its new one stands beside know of that? */
  #forgot(
    former: Self,
    later: Self,
    owes: readonly Word[],
    rests: readonly Word[],
    answersOwed: number,
  ): boolean {
    const self = selfOf(later.place, later.incarnation);
    if (this.#letGo.has(self)) return true;
    // It may have been told, and have recovered by answers of such alone as had not said it too, or had forgotten it.
    const told = [...(this.#told.get(self) ?? [])].map(([place, incarnation]) => ({ place, incarnation }));
    const unknowing = told.filter((by) => !owes.some((one) => isSame(one, by)));
    return unknowing.length >= answersOwed || !rests.some((one) => one.known.has(former.incarnation));
  }
}

/** With what was known before, since the board was last flashed. */
function knownTo(
  record: Record,
  before: { readonly record: Record; readonly known: ReadonlySet<number> } | undefined,
): ReadonlySet<number> {
  const { vector, superseded, recoveredFrom } = record;
  if (before?.record.vector === vector && before.record.recoveredFrom === recoveredFrom) return before.known;
  return new Set([...(before?.known ?? []), ...vector, ...superseded, ...recoveredFrom]);
}
