// Names that are constants: of a site, a board and a slot, or of a stamp. The same inputs give the same ones, and a
// change of the profile leaves them alone.
import { createHash } from 'node:crypto';

/** A UUID (version 8, RFC 9562) from words. The same words give the same one. */
export function constantUuid(...words: readonly string[]): string {
  const hash = createHash('sha256')
    .update(JSON.stringify(['edgekiln', ...words]))
    .digest();
  hash.writeUInt8(0x80 | ((hash[6] ?? 0) & 0x0f), 6);
  hash.writeUInt8(0x80 | ((hash[8] ?? 0) & 0x3f), 8);
  const hex = hash.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join(
    '-',
  );
}

/** The 16 bytes of a UUID, in the order it is written. */
export function uuidBytes(uuid: string): Uint8Array {
  return Buffer.from(uuid.replaceAll('-', ''), 'hex');
}
