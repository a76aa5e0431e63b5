// Promise 2: a next generation opens only by proof, and only where the policy knows a next one.
import type { Past } from '../../../firstboot/protocol/terms.ts';
import { majorityOf } from '../memory.ts';
import type { World } from '../world.ts';
import type { Checker } from './checker.ts';
import { decidedIndeed } from './one-identity.ts';

/** Milliseconds without a server before an elector may sign its loss. */
const silence = 30 * 60_000;
const promise = 'a next generation only by proof';

export function provenGenerations(): Checker {
  // Every way into a generation is looked at, not the first alone; boards that follow share what they followed.
  const judged = new WeakSet<readonly Past[]>();
  return {
    promise,
    sent(world, from, { body }) {
      if (body.kind !== 'loss') return;
      const { refound } = world.scenario;
      const { seen, decided, membership } = from.disk.durable ?? {};
      const silent = world.now - from.startedAt >= silence && seen?.cluster === body.cluster && !seen.shared;
      const justified =
        body.cause === 'gone'
          ? decided?.value.founder === from.place && membership === undefined
          : silent && (refound || !seen.data);
      if (!justified)
        world.violate(promise, `device ${from.device} signs that ${body.cluster} is ${body.cause}`);
    },
    persisted(world, board, { generation, past }) {
      if (generation === 1 || judged.has(past)) return;
      judged.add(past);
      if (world.scenario.policy !== 'first-online') world.violate(promise, `policy ${world.scenario.policy}`);
      const unproven = past.length !== generation - 1 || !past.every((one) => proven(world, one));
      if (unproven) world.violate(promise, `generation ${generation} on device ${board.place}`);
    },
  };
}

function proven(world: World, { certificate, proof }: Past): boolean {
  if (!decidedIndeed(world, certificate)) return false;
  const electors = world.boards[0]?.stamped.electors ?? [];
  const signers = proof.kind === 'gone' ? [proof.signer] : proof.signers;
  const genuine = signers.every((signer) => {
    const cause = proof.kind === 'gone' ? 'gone' : 'silent';
    return (
      world.signed(signer.place, cause, signer.signature) &&
      signer.signature.includes(`|${certificate.generation}|${certificate.value.cluster}|`)
    );
  });
  if (proof.kind === 'gone') return genuine && proof.signer.place === certificate.value.founder;
  const places = new Set(signers.map((signer) => signer.place).filter((one) => electors.includes(one)));
  return genuine && places.size >= majorityOf(electors.length);
}
