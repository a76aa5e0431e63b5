// The phases of a device and every way from one to another. The diagram in docs/formation.md is drawn from here.

export const phases = [
  'listening',
  'proposing',
  'founding',
  'serving',
  'joining',
  'member',
  'yielding',
  'holding',
  // In the order of their numbers on the wire: later ones come last.
  'enrolling',
] as const;

export type Phase = (typeof phases)[number];

/** What each phase means, in one line. */
export const meaning: Record<Phase, string> = {
  listening: 'looks around; in no cluster',
  proposing: 'asks the electors before it founds (majority, designated)',
  founding: 'starts k3s as founder; its API has not answered yet',
  serving: 'a server of a cluster that works',
  joining: 'joins a cluster as agent',
  member: 'an agent of a cluster',
  yielding: 'stops, tests that it is empty, retires and leaves',
  holding: 'waits for a person; what runs keeps running',
  enrolling: 'claimed sites only: has a key and no place yet',
};

export interface Transition {
  readonly from: Phase;
  readonly to: Phase;
  /** Why, as logs and the status page say it. */
  readonly why: string;
}

export const transitions = {
  found: { from: 'listening', to: 'founding', why: 'first in rank, no cluster heard' },
  propose: { from: 'listening', to: 'proposing', why: 'first in rank, the policy asks first' },
  stepBack: { from: 'proposing', to: 'listening', why: 'another was decided, or ranks before' },
  elected: { from: 'proposing', to: 'founding', why: 'decided as founder' },
  ready: { from: 'founding', to: 'serving', why: 'the API answered' },
  join: { from: 'listening', to: 'joining', why: 'a cluster that works was heard' },
  joined: { from: 'joining', to: 'member', why: 'the node is in the cluster' },
  joinGivenUp: { from: 'joining', to: 'listening', why: 'its cluster went silent' },
  promoted: { from: 'member', to: 'serving', why: 'became a server' },
  demoted: { from: 'serving', to: 'member', why: 'became an agent again' },
  leave: { from: 'member', to: 'yielding', why: 'its server left, is lost, or was never decided' },
  yield: { from: 'serving', to: 'yielding', why: 'another cluster was decided and is alive' },
  yieldEarly: { from: 'founding', to: 'yielding', why: 'another cluster was decided and is alive' },
  retired: { from: 'yielding', to: 'listening', why: 'it was empty and is set aside' },
  notEmpty: { from: 'yielding', to: 'holding', why: 'it holds data: a person decides' },
  conflict: { from: 'serving', to: 'holding', why: 'two clusters, and this one cannot yield' },
  cloned: { from: 'listening', to: 'holding', why: 'another board speaks for this place' },
  released: { from: 'holding', to: 'listening', why: 'a person resolved it' },
  servesAgain: { from: 'holding', to: 'serving', why: 'a person resolved it, or its own was decided' },
  memberAgain: { from: 'holding', to: 'member', why: 'a person resolved it, or its own was decided' },
  placed: { from: 'enrolling', to: 'listening', why: 'a table gives it a place' },
  unplaced: { from: 'listening', to: 'enrolling', why: 'its table will never decide' },
} as const satisfies Record<string, Transition>;

export type TransitionName = keyof typeof transitions;
