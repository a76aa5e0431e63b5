// The boards there are. A new one is a file beside this and a line here.
import type { Board } from './board.ts';
import { qemuX86 } from './qemu-x86_64.ts';

const boards: readonly Board[] = [qemuX86];

/** The board of a name, if there is one. */
export function findBoard(name: string): Board | undefined {
  return boards.find((board) => board.name === name);
}

/** The names of all boards, for messages. */
export function boardNames(): string[] {
  return boards.map((board) => board.name);
}
