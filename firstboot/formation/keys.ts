// Keys as stamps and rosters have them, and as node:crypto does.
import { createPrivateKey, type KeyObject } from 'node:crypto';
import type { Stamp } from '../../formats/stamp.ts';
import type { PublicKey } from '../protocol/terms.ts';

/** The public half of an Ed25519 key, of either half: 32 bytes in hexadecimal, as rosters have keys. */
export function rawKey(key: KeyObject): PublicKey {
  const { x } = key.export({ format: 'jwk' });
  if (x === undefined) throw new Error('not an Ed25519 key');
  return Buffer.from(x, 'base64url').toString('hex') as PublicKey;
}

/** PKCS #8 of an Ed25519 key is this and its 32 bytes. */
const pkcs8 = Buffer.from('302e020100300506032b657004220420', 'hex');

/** The device's private key. */
export function privateKeyOf({ deviceKey }: Stamp): KeyObject {
  const key = Buffer.concat([pkcs8, Buffer.from(deviceKey, 'base64')]);
  return createPrivateKey({ key, format: 'der', type: 'pkcs8' });
}
