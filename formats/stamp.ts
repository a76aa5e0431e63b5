// The stamp: the 64 KiB signed region at byte 3 MiB that makes one image one particular device.
//
//   0      1,024 bytes  GRUB environment block with `flash_id` and `place` (what bootloaders read; U-Boot: `env import -t`)
//   1,024  8 bytes      "EKSTAMP1"
//   1,032  4 bytes      length of the payload, unsigned, big endian
//   1,036  length       payload, JSON in UTF-8
//   then   64 bytes     Ed25519 signature by the site's key over a domain word, the environment block and the payload
//   then   zeros
import { type KeyObject, sign, verify } from 'node:crypto';
import { Failure } from './errors.ts';
import { grubEnvironment } from './grubenv.ts';

export const stampOffset = 3 * 1024 * 1024;
export const stampSize = 64 * 1024;

const environmentSize = 1024;
const magic = Buffer.from('EKSTAMP1', 'latin1');
const payloadOffset = environmentSize + magic.length + 4;
const signatureSize = 64;
const domain = Buffer.from('edgekiln stamp 1\0', 'latin1');

/** The largest payload that fits, in bytes. A roster of 253 places fits with room to spare. */
export const largestPayload = stampSize - payloadOffset - signatureSize;

/** A byte range of the disk. */
export interface Extent {
  readonly start: number;
  readonly size: number;
}

/** What a stamp says. Unknown keys of newer versions are kept out of the way, not refused. */
export interface Stamp {
  readonly version: 1;
  readonly site: string;
  /** The device's name in the profile. */
  readonly device: string;
  /** Its host and node name. */
  readonly hostname: string;
  /** Index of the device's place in the roster, from 1. */
  readonly place: number;
  /** A UUID; the data filesystem made for this stamp carries the same one. */
  readonly flash: string;
  /** The device's Ed25519 private key, 32 bytes in base64. */
  readonly deviceKey: string;
  /** Where things are on the disk this stamp is written to, in bytes from its start. */
  readonly disk: {
    readonly bootState: readonly [Extent, Extent];
    readonly slots: { readonly a: Extent; readonly b: Extent };
  };
  /** What slot A holds as flashed: the ranges of the slot that carry data (start and end, bytes) and their SHA-256. */
  readonly slot: {
    readonly digest: string;
    readonly mapped: readonly (readonly [start: number, end: number])[];
  };
  /** The roster file (roster.ts) as of this stamp; a device may have a newer one. Stamps of early images have none. */
  readonly roster?: string;
}

/** The 64 KiB region for this stamp, signed. Fails when the payload does not fit. */
export function sealStamp(stamp: Stamp, siteKey: KeyObject): Uint8Array {
  const payload = Buffer.from(JSON.stringify(stamp), 'utf8');
  if (payload.length > largestPayload) {
    throw new Failure('unsupported', {
      what: `the stamp of ${stamp.device} needs ${payload.length} bytes, ${payload.length - largestPayload} too many`,
      why: `a stamp is ${stampSize} bytes`,
    });
  }
  const region = Buffer.alloc(stampSize);
  const environment = grubEnvironment({ flash_id: stamp.flash, place: String(stamp.place) }, environmentSize);
  environment.copy(region);
  magic.copy(region, environmentSize);
  region.writeUInt32BE(payload.length, payloadOffset - 4);
  payload.copy(region, payloadOffset);
  sign(null, signedBytes(environment, payload), siteKey).copy(region, payloadOffset + payload.length);
  return region;
}

/**
 * Reads a stamp and checks its signature. Throws a `Failure('input')` that says which of the two is wrong: no stamp,
 * or a stamp that this site's key did not sign. There is no way to read an unsigned one.
 */
export function openStamp(region: Uint8Array, sitePublicKey: KeyObject): Stamp {
  const bytes = Buffer.from(region.buffer, region.byteOffset, region.byteLength);
  if (
    bytes.length < stampSize ||
    !bytes.subarray(environmentSize, environmentSize + magic.length).equals(magic)
  ) {
    throw new Failure('input', {
      what: 'there is no stamp here',
      fix: 'flash an image that edgekiln made for this device',
    });
  }
  const length = bytes.readUInt32BE(payloadOffset - 4);
  if (length > largestPayload) throw damaged(`its length says ${length} bytes`);
  const payload = bytes.subarray(payloadOffset, payloadOffset + length);
  const signature = bytes.subarray(payloadOffset + length, payloadOffset + length + signatureSize);
  if (!verify(null, signedBytes(bytes.subarray(0, environmentSize), payload), sitePublicKey, signature)) {
    throw damaged("its signature is not by this site's key");
  }
  const stamp: unknown = JSON.parse(payload.toString('utf8'));
  if (!isStamp(stamp)) throw damaged('it is of a version this program does not know');
  return stamp;
}

function signedBytes(environment: Uint8Array, payload: Uint8Array): Buffer {
  return Buffer.concat([domain, environment, payload]);
}

function damaged(why: string): Failure {
  return new Failure('input', { what: 'the stamp cannot be trusted', why, fix: 'flash the device again' });
}

/** The signature vouches for the shape of version 1; only the version is looked at. */
function isStamp(value: unknown): value is Stamp {
  return typeof value === 'object' && value !== null && 'version' in value && value.version === 1;
}
