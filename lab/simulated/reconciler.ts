// A device of the servers' world, and the reconciler that runs on it while it is a server.
import type { Decision } from '../../firstboot/protocol/roles.ts';

export interface Device {
  readonly index: number;
  readonly name: string;
  powered: boolean;
  changedAt: number;
  /** As the API has it: a dead node is noticed after 40 s. */
  ready: boolean;
  readyChangedAt: number;
  learnerSince: number | undefined;
  reconciler: Reconciler;
}

export interface Reconciler {
  watchingSince: number;
  journalSeen: { version: number; at: number };
  /** Decided on what it saw then; carried out when it wakes. */
  pending: { decision: Decision; at: number } | undefined;
}
