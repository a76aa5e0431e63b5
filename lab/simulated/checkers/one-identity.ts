// Promise 1: a generation decides one identity.
//
// Not promised (docs/formation.md): where 2q − |E| or more electors lost their memory and nobody who took part
// afterwards had ever known their former selves. Who had met whom is kept here, from what was delivered and synced.
import type { Record } from '../../../firstboot/protocol/record.ts';
import { type Certificate, sameIdentity } from '../../../firstboot/protocol/terms.ts';
import type { Board } from '../board.ts';
import type { World } from '../world.ts';
import type { Checker } from './checker.ts';

const promise = 'one identity a generation';

export function oneIdentity(): Checker {
  const decided = new Map<number, Certificate>();
  /** Incarnations of each place that each board's disk has known since it was last flashed. */
  const known = new Map<Board, Set<number>>();
  return {
    promise,
    persisted(world, board, record) {
      remember(known, board, record);
      const certificate = record.decided;
      if (certificate === undefined) return;
      const before = decided.get(certificate.generation);
      if (before === undefined) decided.set(certificate.generation, certificate);
      else if (
        !sameIdentity(before.value, certificate.value) &&
        !excused(world, known, before, certificate)
      ) {
        world.violate(
          promise,
          `generation ${certificate.generation}: ${before.value.cluster} and ${certificate.value.cluster}`,
        );
      }
    },
    wiped(_, board) {
      known.delete(board);
    },
  };
}

function remember(known: Map<Board, Set<number>>, board: Board, { vector }: Record): void {
  let incarnations = known.get(board);
  if (incarnations === undefined) {
    incarnations = new Set();
    known.set(board, incarnations);
  }
  for (const incarnation of vector) if (incarnation !== 0) incarnations.add(incarnation);
}

/** Were there so many electors with a forgotten vote, whom no signer of the later quorum had known before? */
function excused(world: World, known: Map<Board, Set<number>>, a: Certificate, b: Certificate): boolean {
  const site = siteOf(world);
  const forgotten = a.signers.filter((one) => {
    const other = b.signers.find((signer) => signer.place === one.place);
    if (other === undefined || other.incarnation === one.incarnation) return false;
    const remembered = (certificate: Certificate, incarnation: number) =>
      certificate.signers.some(({ place }) => {
        if (place === one.place) return false;
        const board = world.boardAt(place);
        return board !== undefined && known.get(board)?.has(incarnation) === true;
      });
    return !(remembered(a, other.incarnation) && remembered(b, one.incarnation));
  });
  return forgotten.length >= 2 * site.quorum - site.electors.length;
}

function siteOf(world: World): { quorum: number; electors: readonly unknown[] } {
  const electors = world.boards[0]?.stamped.electors ?? [];
  return { electors, quorum: Math.floor(electors.length / 2) + 1 };
}
