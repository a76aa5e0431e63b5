// The stamp of a device: what makes an image its own.
import type { KeyObject } from 'node:crypto';
import { type Stamp, sealStamp } from '../../formats/stamp.ts';
import { privateSeed, publicPem } from '../keys/keyring.ts';
import { constantUuid } from './identity.ts';

/** What a device's stamp is made of. */
export interface DeviceFacts extends Pick<Stamp, 'site' | 'device' | 'hostname' | 'place' | 'disk' | 'slot'> {
  /** The roster file, as `siteRoster` gives it. */
  readonly roster: string;
  readonly siteKey: KeyObject;
  readonly deviceKey: KeyObject;
}

/** The signed stamp region. Another image or another device is another flash: data of the one is foreign to the other. */
export function deviceStamp({ siteKey, deviceKey, ...facts }: DeviceFacts): Uint8Array {
  const { site, device, hostname, place, disk, slot, roster } = facts;
  const flash = constantUuid('flash', publicPem(siteKey), publicPem(deviceKey), slot.digest);
  const secret = privateSeed(deviceKey).toString('base64');
  return sealStamp(
    { version: 1, site, device, hostname, place, flash, deviceKey: secret, disk, slot, roster },
    siteKey,
  );
}
