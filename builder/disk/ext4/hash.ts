// The hash of indexed directories: half MD4 over unsigned characters. Source: fs/ext4/hash.c of Linux.

const K2 = 0x5a827999;
const K3 = 0x6ed9eba1;
const initial = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476] as const;
const words = new Int32Array(8);
const state = new Uint32Array(4);

/**
 * The hash of a name, the bytes from `start` to `end` (exclusive), under the filesystem's seed (four words; all zero
 * means MD4's own). The lowest bit is 0.
 */
export function hashName(name: Uint8Array, seed: readonly number[], start = 0, end = name.length): number {
  state.set(isZero(seed) ? initial : seed);
  for (let at = start; at < end; at += 32) {
    fillWords(name, at, end);
    halfMd4();
  }
  const hash = ((state[1] ?? 0) & ~1) >>> 0;
  // The largest value means the end of a directory.
  return hash === 0xffff_fffe ? 0xffff_fffc : hash;
}

function isZero(seed: readonly number[]): boolean {
  for (const word of seed) if (word !== 0) return false;
  return true;
}

/** Up to 32 bytes of the name from `at` on as words, padded with what is left of its length. */
function fillWords(name: Uint8Array, at: number, end: number): void {
  const left = end - at;
  let pad = left | (left << 8);
  pad |= pad << 16;
  const length = Math.min(left, 32);
  let word = 0;
  let value = pad;
  for (let i = 0; i < length; i++) {
    value = (name[at + i] ?? 0) + (value << 8);
    if (i % 4 === 3) {
      words[word++] = value;
      value = pad;
    }
  }
  if (word < 8) words[word++] = value;
  while (word < 8) words[word++] = pad;
}

function halfMd4(): void {
  // As signed numbers from the start: they stay in registers of the processor.
  let a = (state[0] ?? 0) | 0;
  let b = (state[1] ?? 0) | 0;
  let c = (state[2] ?? 0) | 0;
  let d = (state[3] ?? 0) | 0;
  // Loops over places without an array: this runs for each 32 bytes of every name.
  for (let i = 0; i <= 4; i += 4) {
    a = rotate(a + (d ^ (b & (c ^ d))) + word(i), 3);
    d = rotate(d + (c ^ (a & (b ^ c))) + word(i + 1), 7);
    c = rotate(c + (b ^ (d & (a ^ b))) + word(i + 2), 11);
    b = rotate(b + (a ^ (c & (d ^ a))) + word(i + 3), 19);
  }
  for (let i = 1; i >= 0; i--) {
    a = rotate(a + ((b & c) + ((b ^ c) & d)) + word(i) + K2, 3);
    d = rotate(d + ((a & b) + ((a ^ b) & c)) + word(i + 2) + K2, 5);
    c = rotate(c + ((d & a) + ((d ^ a) & b)) + word(i + 4) + K2, 9);
    b = rotate(b + ((c & d) + ((c ^ d) & a)) + word(i + 6) + K2, 13);
  }
  for (let i = 3; i >= 1; i -= 2) {
    a = rotate(a + (b ^ c ^ d) + word(i) + K3, 3);
    d = rotate(d + (a ^ b ^ c) + word(i + 4) + K3, 9);
    c = rotate(c + (d ^ a ^ b) + word(i - 1) + K3, 11);
    b = rotate(b + (c ^ d ^ a) + word(i + 3) + K3, 15);
  }
  state[0] = (state[0] ?? 0) + a;
  state[1] = (state[1] ?? 0) + b;
  state[2] = (state[2] ?? 0) + c;
  state[3] = (state[3] ?? 0) + d;
}

function word(i: number): number {
  return words[i] ?? 0;
}

function rotate(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by));
}
