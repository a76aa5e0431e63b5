// The hash of indexed directories: half MD4 over unsigned characters. Source: fs/ext4/hash.c of Linux.

const K2 = 0x5a827999;
const K3 = 0x6ed9eba1;
const initial = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476] as const;
const words = new Uint32Array(8);

/** The hash of a name under the filesystem's seed (four words; all zero means MD4's own). The lowest bit is 0. */
export function hashName(name: Uint8Array, seed: readonly number[]): number {
  const seeded = seed.some((word) => word !== 0) ? seed : initial;
  const state = Uint32Array.from(seeded);
  for (let at = 0; at < name.length; at += 32) {
    fillWords(name, at);
    halfMd4(state);
  }
  const hash = ((state[1] ?? 0) & ~1) >>> 0;
  // The largest value means the end of a directory.
  return hash === 0xffff_fffe ? 0xffff_fffc : hash;
}

/** Up to 32 bytes of the name from `at` on as words, padded with what is left of its length. */
function fillWords(name: Uint8Array, at: number): void {
  const left = name.length - at;
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

function halfMd4(state: Uint32Array): void {
  let a = state[0] ?? 0;
  let b = state[1] ?? 0;
  let c = state[2] ?? 0;
  let d = state[3] ?? 0;
  const w = (i: number): number => words[i] ?? 0;
  for (const i of [0, 4]) {
    a = rotate(a + (d ^ (b & (c ^ d))) + w(i), 3);
    d = rotate(d + (c ^ (a & (b ^ c))) + w(i + 1), 7);
    c = rotate(c + (b ^ (d & (a ^ b))) + w(i + 2), 11);
    b = rotate(b + (a ^ (c & (d ^ a))) + w(i + 3), 19);
  }
  for (const i of [1, 0]) {
    a = rotate(a + ((b & c) + ((b ^ c) & d)) + w(i) + K2, 3);
    d = rotate(d + ((a & b) + ((a ^ b) & c)) + w(i + 2) + K2, 5);
    c = rotate(c + ((d & a) + ((d ^ a) & b)) + w(i + 4) + K2, 9);
    b = rotate(b + ((c & d) + ((c ^ d) & a)) + w(i + 6) + K2, 13);
  }
  for (const i of [3, 1]) {
    a = rotate(a + (b ^ c ^ d) + w(i) + K3, 3);
    d = rotate(d + (a ^ b ^ c) + w(i + 4) + K3, 9);
    c = rotate(c + (d ^ a ^ b) + w(i - 1) + K3, 11);
    b = rotate(b + (c ^ d ^ a) + w(i + 3) + K3, 15);
  }
  state[0] = (state[0] ?? 0) + a;
  state[1] = (state[1] ?? 0) + b;
  state[2] = (state[2] ?? 0) + c;
  state[3] = (state[3] ?? 0) + d;
}

function rotate(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by));
}
