// Access control lists as archives write them, in text: `user::rw-,user:1000:r--,mask::r--`.
// Source: star(1), SCHILY.acl.access; getfacl(1); the form programs see: include/uapi/linux/posix_acl_xattr.h of Linux.

const tags: Readonly<Record<string, readonly [own: number, named: number]>> = {
  user: [0x01, 0x02],
  group: [0x04, 0x08],
  mask: [0x10, 0x10],
  other: [0x20, 0x20],
};
const none = 0xffff_ffff;

/**
 * The value of `system.posix_acl_…` for a text; a string says why there is none. Names of users count for nothing here:
 * their numbers must be given, in place of the name or behind the permissions.
 */
export function aclFromText(text: string): Uint8Array | string {
  const entries: [tag: number, permissions: number, id: number][] = [];
  for (const line of text.split(/[,\n]/)) {
    const entry = line.replace(/#.*/, '').trim();
    if (entry === '') continue;
    const [kind = '', who = '', permissions = '', number = who] = entry.split(':');
    const [own, named] = tags[kind.length === 1 ? longKind(kind) : kind] ?? [];
    if (own === undefined || named === undefined || !/^[r-][w-][xX-]/.test(permissions))
      return `the access control list ${text} cannot be read`;
    const bits = [...permissions.slice(0, 3)].reduce((sum, letter) => sum * 2 + (letter === '-' ? 0 : 1), 0);
    if (who === '') entries.push([own, bits, none]);
    else if (/^[0-9]+$/.test(number)) entries.push([named, bits, Number(number)]);
    else
      return `its access control list names ${kind} ${who} without a number (tar --xattrs-include='*' keeps it)`;
  }
  entries.sort(([a, , first], [b, , second]) => a - b || first - second);
  const bytes = Buffer.alloc(4 + 8 * entries.length);
  bytes.writeUInt32LE(2, 0);
  for (const [i, [tag, permissions, id]] of entries.entries()) {
    bytes.writeUInt16LE(tag, 4 + 8 * i);
    bytes.writeUInt16LE(permissions, 6 + 8 * i);
    bytes.writeUInt32LE(id, 8 + 8 * i);
  }
  return bytes;
}

function longKind(letter: string): string {
  return Object.keys(tags).find((tag) => tag.startsWith(letter)) ?? letter;
}
