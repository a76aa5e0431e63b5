// What a checker may look at. One file a promise; a checker keeps its own truth and trusts nothing the protocol says.
import type { Message } from '../../../firstboot/protocol/messages.ts';
import type { Record } from '../../../firstboot/protocol/record.ts';
import type { ClusterId, Identity } from '../../../firstboot/protocol/terms.ts';
import type { Board } from '../board.ts';
import type { World } from '../world.ts';

export interface Checker {
  readonly promise: string;
  started?(world: World): void;
  /** Before a datagram leaves. */
  sent?(world: World, from: Board, message: Message): void;
  /** A record was synced. */
  persisted?(world: World, board: Board, record: Record): void;
  /** k3s is started as the founder of a new cluster. */
  founding?(world: World, board: Board, identity: Identity): void;
  /** A store is about to be set aside. */
  retired?(world: World, board: Board, cluster: ClusterId): void;
  /** A person flashed the board. */
  wiped?(world: World, board: Board): void;
  /** A server's node was deleted, and with it its voter; whether those that are left are a quorum. */
  deleted?(world: World, by: Board, cluster: string, name: string, quorum: boolean): void;
  /** A reconciler begins to change the servers. */
  operation?(world: World, by: Board, kind: 'grow' | 'replace', slack: number): void;
  ended?(world: World): void;
}
