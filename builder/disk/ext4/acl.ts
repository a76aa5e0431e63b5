// Access control lists: eight bytes an entry where programs read and write them, shorter ones on the disk.
// Source: include/uapi/linux/posix_acl_xattr.h and fs/ext4/acl.h of Linux.

const USER = 0x02;
const GROUP = 0x08;
const NO_ID = 0xffff_ffff;

/** From the form programs see (version 2) to the disk's (version 1); undefined if it is not one. */
export function aclToDisk(value: Uint8Array): Uint8Array | undefined {
  const from = Buffer.from(value);
  if (from.length < 4 || (from.length - 4) % 8 !== 0 || from.readUInt32LE(0) !== 2) return undefined;
  const parts = [Buffer.from([1, 0, 0, 0])];
  for (let at = 4; at < from.length; at += 8) {
    const tag = from.readUInt16LE(at);
    parts.push(from.subarray(at, at + (tag === USER || tag === GROUP ? 8 : 4)));
  }
  return Buffer.concat(parts);
}

/** From the disk's form to the one programs see. */
export function aclFromDisk(value: Uint8Array): Uint8Array {
  const from = Buffer.from(value);
  const parts = [Buffer.from([2, 0, 0, 0])];
  for (let at = 4; at + 4 <= from.length; ) {
    const entry = Buffer.alloc(8);
    const tag = from.readUInt16LE(at);
    const named = tag === USER || tag === GROUP;
    from.copy(entry, 0, at, at + (named ? 8 : 4));
    if (!named) entry.writeUInt32LE(NO_ID, 4);
    parts.push(entry);
    at += named ? 8 : 4;
  }
  return Buffer.concat(parts);
}
