// Brings names into the order of their bytes, a part of each at a time: directories may hold very many long ones.

/** Bytes of a name that are compared at once. */
const AT_ONCE = 32;

/** Names by number, as `Nodes` keeps them: so many bytes from `startOf` on in `pageOf`, valid until the next call. */
interface KeptNames {
  lengthOf(name: number): number;
  pageOf(name: number): Buffer;
  startOf(name: number): number;
}

/** Sorts numbers of names in place. */
export function orderNames(names: number[], kept: KeptNames): void {
  order(names, 0, names.length, 0, kept);
}

/** Sorts those from `from` to `to` (exclusive), whose first `skip` bytes are the same. */
function order(names: number[], from: number, to: number, skip: number, kept: KeptNames): void {
  for (const [first, end] of orderByPart(names, from, to, skip, kept)) {
    const same = skip + AT_ONCE;
    // What all of a run have in common is not looked at again: long names often differ in their last bytes only.
    order(names, first, end, same + commonBytes(names, first, end, same, kept), kept);
  }
}

/** By one part of their names; gives the runs that it does not tell apart. The parts are let go of: they are many. */
function orderByPart(
  names: number[],
  from: number,
  to: number,
  skip: number,
  kept: KeptNames,
): (readonly [number, number])[] {
  const parts = names.slice(from, to).map((name) => {
    const start = kept.startOf(name) + skip;
    const length = Math.max(0, Math.min(AT_ONCE, kept.lengthOf(name) - skip));
    // One character a byte: the order of such texts is the order of the bytes.
    return { name, part: kept.pageOf(name).toString('latin1', start, start + length) };
  });
  parts.sort((a, b) => (a.part < b.part ? -1 : a.part === b.part ? 0 : 1));
  const same: (readonly [number, number])[] = [];
  for (let at = 0, end = 0; at < parts.length; at = end) {
    const part = parts[at]?.part ?? '';
    for (end = at + 1; part.length === AT_ONCE && parts[end]?.part === part; end++);
    if (end - at > 1) same.push([from + at, from + end]);
  }
  for (const [i, { name }] of parts.entries()) names[from + i] = name;
  return same;
}

/** How many bytes from `skip` on are the same in all these names. */
function commonBytes(
  names: readonly number[],
  from: number,
  to: number,
  skip: number,
  kept: KeptNames,
): number {
  let first: Uint8Array | undefined;
  let common = 0;
  for (const name of names.slice(from, to)) {
    const start = kept.startOf(name) + skip;
    const rest = kept.pageOf(name).subarray(start, start + kept.lengthOf(name) - skip);
    if (first === undefined) {
      first = Uint8Array.from(rest);
      common = first.length;
    }
    common = Math.min(common, rest.length);
    for (let i = 0; i < common; i++) if (rest[i] !== first[i]) common = i;
  }
  return common;
}
