// FAT names: the short 8.3 one of every file, and the long one in entries before it.
// Source: Microsoft, "FAT: General Overview of On-Disk Format", 1.03; long names in UCS-2.

/** Bytes of a directory entry. */
export const entrySize = 32;
const unitsPerEntry = 13;
/** Where the 13 UTF-16 units of a long-name entry stand. */
const unitOffsets = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];

const shortCharacter = /^[A-Z0-9$%'\-_@~`!(){}^#&]+$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const forbidden = /[\u0000-\u001f"*/:<>?\\|\u007f]/;

/** Why FAT cannot hold a name, if it cannot. */
export function wrongName(name: string): string | undefined {
  if (name.length > 255) return 'its name is longer than 255 characters';
  if (forbidden.test(name)) return 'its name has a character that FAT does not know';
  if (/[. ]$/.test(name)) return 'its name ends with a dot or a blank';
  return undefined;
}

/**
 * The short names of a directory's files, 11 characters each without a dot. One that is short already keeps its name
 * in capitals; the others get `NAME~1`, counted up until it is free.
 */
export function shortNames(names: readonly string[]): string[] {
  const taken = new Set<string>();
  const plain = names.map((name) => plainShort(name));
  for (const short of plain) if (short !== undefined) taken.add(short);
  return names.map((name, index) => {
    const short = plain[index];
    if (short !== undefined) return short;
    const [stem, extension] = splitName(name.toUpperCase());
    const clean = (text: string, length: number): string =>
      [...text]
        .map((char) => (shortCharacter.test(char) ? char : '_'))
        .join('')
        .slice(0, length);
    for (let number = 1; ; number++) {
      const tail = `~${number}`;
      const candidate = clean(stem.replace(/[. ]/g, ''), 8 - tail.length) + tail;
      const made = candidate.padEnd(8) + clean(extension, 3).padEnd(3);
      if (taken.has(made)) continue;
      taken.add(made);
      return made;
    }
  });
}

/** The short form of a name that is one but for its capitals. */
function plainShort(name: string): string | undefined {
  const [stem, extension] = splitName(name.toUpperCase());
  if (stem.length > 8 || extension.length > 3 || !shortCharacter.test(stem)) return undefined;
  if (extension !== '' && !shortCharacter.test(extension)) return undefined;
  if (name.endsWith('.')) return undefined;
  return stem.padEnd(8) + extension.padEnd(3);
}

function splitName(name: string): [stem: string, extension: string] {
  const dot = name.lastIndexOf('.');
  return dot > 0 ? [name.slice(0, dot), name.slice(dot + 1)] : [name, ''];
}

/** The entries that carry a long name, last part first; none where the short name says it all. */
export function longNameEntries(name: string, short: string): Buffer {
  const [stem, extension] = [short.slice(0, 8).trimEnd(), short.slice(8).trimEnd()];
  if (name === (extension === '' ? stem : `${stem}.${extension}`)) return Buffer.alloc(0);
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

function checksum(short: string): number {
  let sum = 0;
  for (const byte of Buffer.from(short, 'latin1')) sum = (((sum & 1) << 7) + (sum >> 1) + byte) & 0xff;
  return sum;
}
