// Where the holes of a sparse member of a tar file are, in GNU's formats that say it outside of extended headers.
import { BLOCK, number, type TarReader } from './tarheader.ts';

/** A map of what a sparse member holds: offsets and lengths in the file, in bytes, in pairs. */
export type SparseMap = readonly (readonly [offset: number, length: number])[];

/** More pairs than this are not believed. */
const MOST_PAIRS = 4 * 1024 * 1024;

/** The map of GNU's old sparse format: four pairs in the header, then blocks of 21. */
export function oldSparseMap(reader: TarReader, at: number): { map: SparseMap; size: number; body: number } {
  const header = Buffer.from(reader.block(at));
  const map: [number, number][] = [];
  const take = (block: Buffer, start: number, count: number): void => {
    for (let i = 0; i < count && block[start + i * 24] !== 0; i++) {
      map.push([number(block, start + i * 24, 12), number(block, start + i * 24 + 12, 12)]);
    }
  };
  take(header, 386, 4);
  let body = at + BLOCK;
  for (let more = header[482] !== 0; more; body += BLOCK) {
    const block = reader.block(body);
    take(block, 0, 21);
    more = block[504] !== 0;
  }
  return { map, size: number(header, 483, 12), body };
}

/** The map of GNU's sparse format 1.0: decimal lines at the head of the member, padded to a block. */
export function sparseHead(
  reader: TarReader,
  start: number,
  end: number,
  at: number,
): { map: SparseMap; body: number } {
  const numbers: number[] = [];
  let digits = '';
  for (let body = start; body < end; body += BLOCK) {
    for (const byte of reader.block(body)) {
      if (byte !== 0x0a) {
        digits += String.fromCharCode(byte);
        continue;
      }
      if (!/^[0-9]{1,15}$/.test(digits)) reader.refuse(at, 'a sparse map is not made of numbers');
      numbers.push(Number(digits));
      digits = '';
      const pairs = numbers[0] ?? 0;
      if (pairs > MOST_PAIRS) reader.refuse(at, 'a sparse map is too long');
      if (numbers.length === 1 + 2 * pairs) {
        const map = Array.from(
          { length: pairs },
          (_, i) => [numbers[1 + 2 * i] ?? 0, numbers[2 + 2 * i] ?? 0] as const,
        );
        return { map, body: body + BLOCK };
      }
    }
  }
  return reader.refuse(at, 'a sparse map does not end');
}
