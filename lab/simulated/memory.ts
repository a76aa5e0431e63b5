// Which former selves of electors are remembered, in truth: what every disk knew since it was last flashed.
import type { Record } from '../../firstboot/protocol/record.ts';
import type { Ballot, Certificate } from '../../firstboot/protocol/terms.ts';
import type { Board } from './board.ts';
import type { World } from './world.ts';

/** The checkers' own: a protocol that counts wrongly is judged by it. */
export function majorityOf(electors: number): number {
  return Math.floor(electors / 2) + 1;
}

const nameOf = (place: number, { round, place: by, incarnation }: Ballot): string =>
  `${place} ${round}.${by}.${incarnation}`;

export class Memory {
  readonly #known = new Map<Board, Set<number>>();
  /** Whom each place knew when it first accepted a ballot: what it learned after it had signed could not keep it from that. */
  readonly #signing = new Map<string, ReadonlySet<number>>();
  /** A person took votes that were forgotten as forgotten: nothing is promised from then on. */
  letGo = false;

  persisted(board: Board, { vector, accepted }: Record): void {
    let known = this.#known.get(board);
    if (known === undefined) {
      known = new Set();
      this.#known.set(board, known);
    }
    for (const incarnation of vector) if (incarnation !== 0) known.add(incarnation);
    if (accepted === undefined) return;
    const signed = nameOf(board.place, accepted.ballot);
    if (!this.#signing.has(signed)) this.#signing.set(signed, new Set(known));
  }

  wiped(board: Board): void {
    this.#known.delete(board);
  }

  /**
   * Not promised (docs/formation.md): that two decisions agree where 2q − |E| or more of the electors that signed both
   * had forgotten the first, and no other signer of either decision had known both of their selves.
   */
  excuses(world: World, a: Certificate, b: Certificate): boolean {
    if (world.overcrowded || this.letGo) return true;
    if (world.boards[0]?.stamped.claimed === true) return false; // a board that forgets comes as another
    const electors = world.boards[0]?.stamped.electors.length ?? 0;
    const forgotten = a.signers.filter(({ place, incarnation }) => {
      const other = b.signers.find((signer) => signer.place === place);
      if (other === undefined || other.incarnation === incarnation) return false;
      const knewBoth = ({ signers, ballot }: Certificate): boolean =>
        signers.some((signer) => {
          const known = this.#signing.get(nameOf(signer.place, ballot));
          return signer.place !== place && known?.has(incarnation) === true && known.has(other.incarnation);
        });
      return !knewBoth(a) && !knewBoth(b);
    });
    return forgotten.length >= 2 * majorityOf(electors) - electors;
  }
}
