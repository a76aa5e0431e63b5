// Who this device is: the stamp the initrd copied from the disk, checked with the site's key.
import { createPublicKey, type KeyObject } from 'node:crypto';
import { openStamp, type Stamp } from '../../formats/stamp.ts';
import { inOneLine } from '../inoneline.ts';
import { isHostName } from './host.ts';
import type { BootRecord } from './record.ts';

/** A device either is somebody or says why it is not. */
export type Identity =
  | { readonly known: true; readonly stamp: Stamp }
  | { readonly known: false; readonly why: string };

/**
 * The identity from the bytes of a stamp and the site's public key (PEM). Besides the signature, the stamp must be of
 * the configured site and of the flash the bootloader named: a disk may carry the stamp of another.
 */
export function identify(
  region: Uint8Array | undefined,
  siteKey: string | undefined,
  site: string | undefined,
  record: BootRecord,
): Identity {
  if (region === undefined) return { known: false, why: 'the initrd left no stamp' };
  if (siteKey === undefined)
    return { known: false, why: "the image holds no site key to check the stamp's with" };
  try {
    const stamp = openStamp(region, keyOf(siteKey));
    if (site !== undefined && stamp.site !== site) {
      return { known: false, why: `the stamp is of site ${stamp.site}, the image of ${site}` };
    }
    if (record.flash !== undefined && stamp.flash !== record.flash) {
      return { known: false, why: 'the stamp is not the one this boot was started with' };
    }
    if (!isHostName(stamp.hostname)) return { known: false, why: 'the name in the stamp is not a host name' };
    return { known: true, stamp };
  } catch (error) {
    return { known: false, why: inOneLine(error) };
  }
}

function keyOf(pem: string): KeyObject {
  try {
    return createPublicKey(pem);
  } catch (error) {
    throw new Error('the site key of the image cannot be read', { cause: error });
  }
}
