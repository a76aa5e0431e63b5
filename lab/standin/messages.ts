// What copies of the log keep and say to each other.

export interface Entry<T> {
  readonly index: number;
  readonly term: number;
  readonly value: T;
}

export interface Peer {
  readonly id: number;
  readonly voter: boolean;
}

/** What must be on disk. `entries` follow `base`, whose state the snapshot holds. */
export interface Stored<T> {
  term: number;
  vote: number | undefined;
  base: { readonly index: number; readonly term: number };
  entries: Entry<T>[];
}

export type Message<T, S> =
  | { kind: 'ask'; from: number; term: number; last: number; lastTerm: number; probe: boolean }
  | { kind: 'vote'; from: number; term: number; granted: boolean; probe: boolean }
  | {
      kind: 'append';
      from: number;
      term: number;
      previous: { readonly index: number; readonly term: number };
      entries: readonly Entry<T>[];
      commit: number;
    }
  | {
      kind: 'snapshot';
      from: number;
      term: number;
      base: { readonly index: number; readonly term: number };
      state: S;
    }
  | { kind: 'behind'; from: number; term: number }
  | { kind: 'match'; from: number; term: number; ok: boolean; index: number };

export interface Envelope<T, S> {
  readonly to: number;
  readonly message: Message<T, S>;
}
