// Bytes of a profile as text: UTF-8 without a mark, or a problem that says what they are instead.
import type { Problem } from '../../formats/errors.ts';

/** More than any profile; larger contents belong into files beside it. Bytes. */
export const largestProfile = 1024 * 1024;

export function decodeProfile(bytes: Uint8Array, file: string): string | Problem {
  if (bytes.length > largestProfile) {
    const why = `a profile has at most ${largestProfile / 1024} KiB`;
    return {
      what: 'too large for a profile',
      where: file,
      why,
      fix: 'keep contents in files beside the profile',
    };
  }
  const [first, second, third] = bytes;
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) {
    return { what: 'the text is UTF-16', where: `${file}:1:1`, fix: 'save it as UTF-8' };
  }
  if (first === 0xef && second === 0xbb && third === 0xbf) {
    const what = 'the text starts with a byte order mark';
    return { what, where: `${file}:1:1`, fix: 'save it as UTF-8 without a mark (BOM)' };
  }
  const bad = firstBadByte(bytes);
  if (bad === undefined) return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  const before = new TextDecoder().decode(bytes.subarray(0, bad)).split('\n');
  const where = `${file}:${before.length}:${(before.at(-1) ?? '').length + 1}`;
  const byte = `0x${(bytes[bad] ?? 0).toString(16).padStart(2, '0')}`;
  if (bytes[bad] === 0) return { what: 'a zero byte: this is not a text file', where };
  return { what: `not UTF-8: the byte ${byte}`, where, fix: 'save it as UTF-8' };
}

/** Offset of the first byte that is zero or does not continue valid UTF-8. */
function firstBadByte(bytes: Uint8Array): number | undefined {
  const zero = bytes.indexOf(0);
  const valid = (end: number): boolean => {
    try {
      // A character cut at the end is not wrong yet: `stream` keeps it.
      new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, end), { stream: true });
      return true;
    } catch {
      return false;
    }
  };
  if (valid(bytes.length)) {
    const cut = cutCharacter(bytes);
    return zero >= 0 ? zero : cut;
  }
  let low = 0;
  let high = bytes.length;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (valid(middle)) low = middle;
    else high = middle;
  }
  return zero >= 0 ? Math.min(zero, low) : low;
}

/** Offset of a character that the end of the file cuts. */
function cutCharacter(bytes: Uint8Array): number | undefined {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return undefined;
  } catch {
    let start = bytes.length - 1;
    while (((bytes[start] ?? 0) & 0xc0) === 0x80) start -= 1;
    return start;
  }
}
