// The log on disk: one file of JSON lines, written through before anything is said, and a snapshot that replaces it.
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Entry, Stored } from './messages.ts';
import type { State, Value } from './state.ts';

/** Who this copy is; written once. */
export interface Identity {
  readonly cluster: string;
  readonly member: number;
}

interface Snapshot {
  readonly identity: Identity;
  readonly term: number;
  readonly vote: number | null;
  readonly base: { readonly index: number; readonly term: number };
  readonly state: State;
}

type Line = { readonly term: number; readonly vote: number | null } | { readonly entry: Entry<Value> };

export class LogDisk {
  readonly #folder: string;
  #file: number | undefined;
  #term = 0;
  #vote: number | undefined;
  #entries: readonly Entry<Value>[] = [];

  /** `folder` is `member/`: the log is in its `wal/`, the snapshot in its `snap/`. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Undefined where no log was ever begun. A torn last line was never acknowledged and is dropped. */
  read(): { identity: Identity; stored: Stored<Value>; state: State } | undefined {
    if (!existsSync(join(this.#folder, 'wal'))) return undefined;
    const snapshot: Snapshot = JSON.parse(readFileSync(join(this.#folder, 'snap', 'db'), 'utf8'));
    const stored: Stored<Value> = {
      term: snapshot.term,
      vote: snapshot.vote ?? undefined,
      base: snapshot.base,
      entries: [],
    };
    for (const text of readFileSync(join(this.#folder, 'wal', 'log'), 'utf8')
      .split('\n')
      .slice(0, -1)) {
      const line: Line = JSON.parse(text);
      if ('term' in line) {
        stored.term = line.term;
        stored.vote = line.vote ?? undefined;
      } else if (line.entry.index > stored.base.index) {
        stored.entries = stored.entries.filter((entry) => entry.index < line.entry.index);
        stored.entries.push(line.entry);
      }
    }
    return { identity: snapshot.identity, stored, state: snapshot.state };
  }

  /** A new log, or one that a snapshot makes short: state at `stored.base`, then the entries after it. */
  replace(identity: Identity, stored: Stored<Value>, state: State): void {
    const { term, vote, base } = stored;
    mkdirSync(join(this.#folder, 'snap'), { recursive: true, mode: 0o700 });
    const snapshot: Snapshot = { identity, term, vote: vote ?? null, base, state };
    writeThrough(join(this.#folder, 'snap', 'db'), JSON.stringify(snapshot));
    mkdirSync(join(this.#folder, 'wal'), { recursive: true, mode: 0o700 });
    writeThrough(join(this.#folder, 'wal', 'log'), '');
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = openSync(join(this.#folder, 'wal', 'log'), 'a', 0o600);
    this.#term = term;
    this.#vote = vote;
    this.#entries = [];
    this.save(stored);
  }

  /** Writes what is new since the last call and waits until it is on the disk. */
  save(stored: Stored<Value>): void {
    const lines: Line[] = [];
    const { term, vote, entries } = stored;
    if (term !== this.#term || vote !== this.#vote) lines.push({ term, vote: vote ?? null });
    let same = 0;
    while (same < entries.length && entries[same] === this.#entries[same]) same += 1;
    for (const entry of entries.slice(same)) lines.push({ entry });
    this.#term = term;
    this.#vote = vote;
    this.#entries = [...entries];
    if (lines.length === 0) return;
    this.#file ??= openSync(join(this.#folder, 'wal', 'log'), 'a', 0o600);
    writeSync(this.#file, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    fsyncSync(this.#file);
  }
}

function writeThrough(path: string, text: string): void {
  const file = openSync(`${path}.new`, 'w', 0o600);
  writeSync(file, text);
  fsyncSync(file);
  closeSync(file);
  renameSync(`${path}.new`, path);
}
