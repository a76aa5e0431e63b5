// What servers ask of the one that leads.
import type { Identity } from './disk.ts';
import type { Json, JsonObject, State, Value } from './state.ts';

/** What is asked of the leader: its answer, and what it changes. Pure. */
export type Decide = (state: State, request: JsonObject, now: number) => { reply: Json; value?: Value };

/** A write for the leader to decide, or a question how far it is. */
export interface Asked {
  readonly write?: JsonObject;
  /** A server that wants to be a member; any member passes it on. */
  readonly member?: { readonly node: string; readonly address: string };
}

export interface Answer {
  readonly reply: Json;
  readonly index: number;
}

/** What a joiner begins with. */
export type Admission = { readonly refused: string } | { readonly identity: Identity; readonly state: State };
