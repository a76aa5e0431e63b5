// What the rim of a simulated board does for the protocol: datagrams, fetches over TLS, k3s.

import type { Effect } from '../../firstboot/protocol/events.ts';
import type { ClusterId, Hash, Identity, PublicKey } from '../../firstboot/protocol/terms.ts';
import type { Place } from '../../formats/roster.ts';
import type { Board } from './board.ts';
import type { World } from './world.ts';

/** Does what the protocol asks of a board, in the time that it takes. */
export function carryOut(world: World, board: Board, effect: Exclude<Effect, { kind: 'persist' }>): void {
  const { k3s } = board;
  switch (effect.kind) {
    case 'send':
      world.send(board, effect.message);
      return;
    case 'note':
      world.mark(board, effect.rule);
      return;
    case 'entered':
      world.onEntered(board, effect.transition);
      return;
    case 'alarm':
      world.onAlarm(board, effect.alarm, effect.about);
      return;
    case 'makeIdentity': {
      if (board.hung) return;
      const identity: Identity = {
        cluster: world.random.bits48().toString(16).padStart(12, '0') as ClusterId,
        ca: 'ca'.repeat(32) as Hash,
        founder: board.place,
      };
      world.later(world.random.between(20, 80), board, () => board.feed({ kind: 'identity', identity }));
      return;
    }
    case 'startFounder':
      k3s.startFounder(effect.identity, effect.permit);
      return;
    case 'startMember':
      k3s.startMember(effect.role);
      return;
    case 'join':
      k3s.join(effect.identity, effect.by);
      return;
    case 'testEmpty':
      k3s.testEmpty();
      return;
    case 'retire':
      k3s.retire(effect.cluster);
      return;
    case 'stopK3s':
      k3s.stop();
      return;
    case 'fetchDossier':
      fetch(
        world,
        board,
        effect.from,
        // TLS is with the key of the place: under another table the place is another board's.
        (peer) => (keyAt(board, effect.from) === peer.key ? world.dossierFrom(peer) : undefined),
        (dossier) => {
          board.feed({ kind: 'dossier', from: effect.from, dossier });
        },
      );
      return;
    case 'fetchRoster':
      fetch(
        world,
        board,
        effect.from,
        (peer) => peer.site,
        (site) => board.takeRoster(site),
      );
      return;
    case 'fetchTable':
      fetch(
        world,
        board,
        effect.from,
        (peer) => {
          const held = peer.state?.record.claim?.held;
          return held?.table.founder === effect.founder ? held : undefined;
        },
        (signed) => board.feed({ kind: 'table', signed }),
      );
      return;
  }
}

/** Over TLS: both ways must work; 30 ms of handshake. */
function fetch<T>(
  world: World,
  board: Board,
  from: Place,
  ask: (peer: Board) => T | undefined,
  then: (answer: T) => void,
): void {
  let answer: T | undefined;
  for (const peer of world.boards) {
    if (peer.place !== from || peer === board || !peer.powered || answer !== undefined) continue;
    if (world.network.connects(board.index, peer.index, world.now)) answer = ask(peer);
  }
  if (answer !== undefined) world.later(world.random.between(20, 60), board, () => then(answer));
}

function keyAt({ state }: Board, place: Place): PublicKey | undefined {
  return state?.site.members[place]?.key;
}
