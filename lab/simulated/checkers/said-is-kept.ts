// Promise 6: what a device says of its votes is on its disk before.
import type { Incarnations } from '../../../firstboot/protocol/messages.ts';
import { compareBallots } from '../../../firstboot/protocol/terms.ts';
import type { Checker } from './checker.ts';

const promise = 'said is on disk';

export function saidIsKept(): Checker {
  return {
    promise,
    sent(world, from, { body, incarnation, generation }) {
      const { durable } = from.disk;
      const lies =
        durable === undefined ||
        durable.incarnation !== incarnation ||
        durable.generation !== generation ||
        ((body.kind === 'promise' || body.kind === 'recovered') &&
          (compareBallots(body.promised, durable.promised) > 0 ||
            compareBallots(body.accepted?.ballot, durable.accepted?.ballot) !== 0)) ||
        (body.kind === 'accepted' &&
          body.signature !== undefined &&
          compareBallots(body.ballot, durable.accepted?.ballot) > 0) ||
        ('vector' in body && body.kind !== 'hello' && !sameVector(body.vector, durable.vector)) ||
        (body.kind === 'prepare' && body.ballot.round > durable.round) ||
        (body.kind === 'hello' && body.decided !== undefined && durable.decided === undefined);
      if (lies) world.violate(promise, `device ${from.place}: ${body.kind}`);
    },
  };
}

/** Votes are counted, and lost ones are not, by the incarnations they come with. */
function sameVector(a: Incarnations, b: Incarnations): boolean {
  return a.length === b.length && a.every((incarnation, slot) => incarnation === b[slot]);
}
