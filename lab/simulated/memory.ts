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
interface Word {
  readonly place: Place;
  readonly incarnation: Incarnation;
  readonly known: ReadonlySet<number>;
}

interface Asked extends Accept {
  readonly generation: number;
  readonly electors: string;
}

const nameOf = ({ round, place, incarnation }: Ballot): string => `${round}.${place}.${incarnation}`;
const selfOf = (place: Place, incarnation: number | undefined): string => `${place}.${incarnation}`;
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

  persisted(board: Board, record: Record): void {
    const before = this.#disks.get(board);
    const known = knownTo(record, before);
    this.#disks.set(board, { record, known });
    const { accepted, incarnation } = record;
    // One that recovers takes over what others accepted: that is not its own word.
    const taken = before?.record.amnesiac === true || before?.record.accepted === accepted;
    if (accepted !== undefined && !taken)
      keep(this.#accepted, accepted.ballot, { place: board.place, incarnation, known });
  }

  sent(board: Board, { from, to, incarnation, generation, electors, body }: Message): void {
    const known = this.#disks.get(board)?.known ?? nobody;
    if (body.kind === 'promise') {
      if (compareBallots(body.promised, body.ballot) === 0)
        keep(this.#promised, body.ballot, { place: from, incarnation, known });
    } else if (body.kind === 'accept') {
      keep(this.#promised, body.ballot, { place: from, incarnation, known }); // its own promise is not sent
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
    const rests = (place: Place) => turning.promisers[electors.indexOf(place)] ?? 0;
    const both = first.signers.filter(({ place }) => rests(place) !== 0);
    const quorum = majorityOf(electors.length);
    return (
      both.length >= 2 * quorum - electors.length &&
      both.every((signer) =>
        this.#forgot(signer, rests(signer.place), first, turning, electors.length - quorum + 1),
      )
    );
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

  /** Had this signer of the decision forgotten it when it promised the ballot as `later`, and could nobody there know? */
  #forgot(
    { place, incarnation }: Pick<Word, 'place' | 'incarnation'>,
    later: number,
    { signers }: Certificate,
    { ballot, promisers }: Asked,
    answersOwed: number,
  ): boolean {
    if (later === incarnation) return false;
    if (this.#letGo.has(selfOf(place, later))) return true;
    const promised = (this.#promised.get(nameOf(ballot)) ?? []).filter((one) =>
      promisers.includes(one.incarnation),
    );
    const words = [...promised, ...(this.#accepted.get(nameOf(ballot)) ?? [])];
    if (words.some((one) => one.place !== place && one.known.has(incarnation))) return false;
    const knewItself = promised.some((one) => one.place === place && one.known.has(incarnation));
    if (!knewItself) return true;
    // It was told, and recovered: by answers of such alone as had not signed, or had forgotten that they did.
    const told = [...(this.#told.get(selfOf(place, later)) ?? [])];
    const unknowing = told.filter(
      ([by, life]) => !signers.some((one) => one.place === by && one.incarnation === life),
    );
    return unknowing.length >= answersOwed;
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

function keep(words: Map<string, Word[]>, ballot: Ballot, word: Word): void {
  const name = nameOf(ballot);
  const kept = words.get(name) ?? [];
  if (kept.some(({ place, incarnation }) => place === word.place && incarnation === word.incarnation)) return;
  words.set(name, [...kept, word]);
}
