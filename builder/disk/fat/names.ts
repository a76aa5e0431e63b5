// FAT names: the short 8.3 one of every file, and the long one in entries before it.
// Source: Microsoft, "FAT: General Overview of On-Disk Format", 1.03; long names in UTF-16.

/** Bytes of a directory entry. */
export const entrySize = 32;
const unitsPerEntry = 13;
/** Where the 13 UTF-16 units of a long-name entry stand. */
const unitOffsets = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];

const shortCharacter = /^[A-Z0-9$%'\-_@~`!(){}^#&]$/;
const shortName = /^[A-Z0-9$%'\-_@~`!(){}^#&]+$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const forbidden = /[\u0000-\u001f"*/:<>?\\|\u007f]/;
const loneSurrogate = /\p{Surrogate}/u;

/** Why FAT cannot hold a name, if it cannot. */
export function wrongName(name: string): string | undefined {
  if (name.length > 255) return 'its name is longer than 255 characters';
  if (forbidden.test(name)) return 'its name has a character that FAT does not know';
  if (loneSurrogate.test(name)) return 'its name is not UTF-8';
  if (/[. ]$/.test(name)) return 'its name ends with a dot or a blank';
  return undefined;
}

/** Why a label is not one of a FAT volume, if it is not. */
export function wrongLabel(label: string): string | undefined {
  if (label.length > 11) return 'it is longer than 11 characters';
  if (!/^[A-Z0-9$%'\-_@~`!(){}^#&][A-Z0-9$%'\-_@~`!(){}^#& ]*$/.test(label) || label.endsWith(' '))
    return 'it is not made of capitals, digits and blanks between them';
  return undefined;
}

/** What names that FAT takes for the same have in common: capitals unit by unit, so that ß stays itself. */
export function folded(name: string): string {
  return name.replace(/[^\0-\x40\x5b-\x60]/g, (unit) => {
    const upper = unit.toUpperCase();
    return upper.length === 1 ? upper : unit;
  });
}

/**
 * The short names of a directory's files, 11 characters each without a dot. One that is short already keeps its name
 * in capitals; the others get `NAME~1`, counted up until it is free.
 */
export function shortNames(names: readonly string[]): string[] {
  const plain = names.map((name) => plainShort(name));
  const taken = new Set(plain.filter((short) => short !== undefined));
  /** The number that was given last, by the name before the `~` and the extension. */
  const counts = new Map<string, number>();
  return names.map((name, index) => {
    const short = plain[index];
    if (short !== undefined) return short;
    const [stem, extension] = splitName(capitals(name));
    const head = clean(stem, 6);
    const tail = clean(extension, 3).padEnd(3);
    const basis = `${head}.${tail}`;
    for (let number = (counts.get(basis) ?? 0) + 1; ; number++) {
      const end = `~${number}`;
      const made = (head.slice(0, 8 - end.length) + end).padEnd(8) + tail;
      if (taken.has(made)) continue;
      taken.add(made);
      counts.set(basis, number);
      return made;
    }
  });
}

function clean(text: string, length: number): string {
  return [...text.replace(/[. ]/g, '')]
    .slice(0, length)
    .map((char) => (shortCharacter.test(char) ? char : '_'))
    .join('');
}

/** The short form of a name that is one but for its capitals. */
function plainShort(name: string): string | undefined {
  const [stem, extension] = splitName(capitals(name));
  if (stem.length > 8 || extension.length > 3 || !shortName.test(stem)) return undefined;
  if (extension !== '' && !shortName.test(extension)) return undefined;
  return stem.padEnd(8) + extension.padEnd(3);
}

/** Of ASCII only: short names hold nothing else here. */
function capitals(name: string): string {
  return name.replace(/[a-z]+/g, (letters) => letters.toUpperCase());
}

function splitName(name: string): [stem: string, extension: string] {
  const dot = name.lastIndexOf('.');
  return dot > 0 ? [name.slice(0, dot), name.slice(dot + 1)] : [name, ''];
}

/** The entries that carry a long name, last part first; none where the short name says it all. */
export function longNameEntries(name: string, short: string): Buffer {
  if (name === dotted(short)) return Buffer.alloc(0);
  const count = Math.ceil(name.length / unitsPerEntry);
  const entries = Buffer.alloc(count * entrySize);
  for (let part = 0; part < count; part++) {
    const entry = entries.subarray((count - 1 - part) * entrySize, (count - part) * entrySize);
    entry.writeUInt8((part + 1) | (part === count - 1 ? 0x40 : 0), 0);
    entry.writeUInt8(0x0f, 11); // read-only, hidden, system, label: a long name
    entry.writeUInt8(checksum(short), 13);
    for (const [index, offset] of unitOffsets.entries()) {
      const at = part * unitsPerEntry + index;
      // One zero behind the name, then 0xFFFF.
      entry.writeUInt16LE(at < name.length ? name.charCodeAt(at) : at === name.length ? 0 : 0xffff, offset);
    }
  }
  return entries;
}

/** The part of a long name that an entry carries. */
export function longNamePart(entry: Buffer): string {
  let part = '';
  for (const offset of unitOffsets) {
    const unit = entry.readUInt16LE(offset);
    if (unit === 0) break;
    part += String.fromCharCode(unit);
  }
  return part;
}

/** 11 characters as people write them: `NAME.EXT`. */
export function dotted(short: string): string {
  const [stem, extension] = [short.slice(0, 8).trimEnd(), short.slice(8).trimEnd()];
  return extension === '' ? stem : `${stem}.${extension}`;
}

/** By which a long name's entries know the short one's. */
export function checksum(short: string): number {
  let sum = 0;
  for (const byte of Buffer.from(short, 'latin1')) sum = (((sum & 1) << 7) + (sum >> 1) + byte) & 0xff;
  return sum;
}
