import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { Windows } from './ahead.ts';
import { MEMORIES, WINDOW } from './thread.ts';

const folder = mkdtempSync(join(tmpdir(), 'ahead-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Each word of four bytes says where it is. */
function counted(name: string, size: number): string {
  const words = Uint32Array.from({ length: size / 4 }, (_, i) => i);
  const file = join(folder, name);
  writeFileSync(file, words);
  return file;
}

const LONG = 60 * WINDOW + 12;
const long = counted('long', LONG);

/** What is read from `at` on, a word at a time, each `step` bytes further. */
function wrongs(windows: Windows, fd: number, at: number, step: number, until: number): number[] {
  const wrong: number[] = [];
  for (let place = at; place < until; place += step) {
    if (!windows.has(fd, place)) windows.turn(fd, place, place >= windows.end && windows.end > 0);
    if (windows.words[(place - windows.start) / 4] !== place / 4) wrong.push(place);
  }
  return wrong;
}

describe('windows of a file', () => {
  test('say what is in it, from the first byte to the last, once and again', () => {
    const fd = openSync(long, 'r');
    const windows = new Windows();
    for (let round = 0; round < 2; round++) {
      windows.drop();
      expect(wrongs(windows, fd, 0, 4, LONG)).toEqual([]);
      expect(windows.end).toBe(LONG);
      expect(windows.turn(fd, LONG, true)).toBe(false);
    }
    windows.drop();
    closeSync(fd);
  });

  test('two readers at once do not see what the other asked for', () => {
    const other = counted('other', LONG);
    const [a, b] = [openSync(long, 'r'), openSync(other, 'r')];
    const [left, right] = [new Windows(), new Windows()];
    const wrong: number[] = [];
    for (let at = 0; at < LONG - 8; at += WINDOW / 2) {
      wrong.push(...wrongs(left, a, at, 4, at + 8), ...wrongs(right, b, LONG - 12 - at, 4, LONG - 4 - at));
    }
    expect(wrong).toEqual([]);
    left.drop();
    right.drop();
    closeSync(a);
    closeSync(b);
  });

  test('steps of any size, back and forth', () => {
    const fd = openSync(long, 'r');
    const jump = fc.record({ at: fc.nat(LONG / 4 - 1), step: fc.nat(40_000), count: fc.nat(900) });
    fc.assert(
      fc.property(fc.array(jump, { maxLength: 6 }), (jumps) => {
        const windows = new Windows();
        for (const { at, step, count } of jumps) {
          const until = Math.min(LONG, at * 4 + (step + 1) * 4 * count);
          expect(wrongs(windows, fd, at * 4, (step + 1) * 4, until)).toEqual([]);
        }
        windows.drop();
      }),
      { numRuns: 60 },
    );
    closeSync(fd);
  });

  test('a file that gets shorter while it is read ends where it ends now', () => {
    const file = counted('short', LONG);
    const fd = openSync(file, 'r');
    const windows = new Windows();
    expect(wrongs(windows, fd, 0, 4096, 20 * WINDOW)).toEqual([]);
    writeFileSync(file, Buffer.alloc(20 * WINDOW));
    // So many windows may have been read before.
    const most = (21 + MEMORIES) * WINDOW;
    while (windows.turn(fd, windows.end, true)) expect(windows.end).toBeLessThanOrEqual(most);
    expect(windows.end).toBeLessThanOrEqual(most);
    windows.drop();
    closeSync(fd);
  });

  test('what cannot be read is an error, with and without the thread', () => {
    const directory = openSync(folder, 'r');
    expect(() => new Windows().turn(directory, 0, false)).toThrow('EISDIR');
    closeSync(directory);
    const fd = openSync(long, 'r');
    const windows = new Windows();
    wrongs(windows, fd, 0, 4096, 20 * WINDOW);
    closeSync(fd);
    // Those that follow were asked for, but one of them with a descriptor that is closed.
    expect(() => {
      for (let i = 0; i <= MEMORIES; i++) windows.turn(fd, windows.end, true);
    }).toThrow('EBADF');
  });
});
