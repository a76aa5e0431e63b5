// What goes over the LAN: filter, payload, signature. Signatures are checked last, by a bounded number a second.
//
//   filter 8 bytes · payload (codec.ts) · Ed25519 signature 64 bytes over filter and payload
//
// The filter is the start of HMAC-SHA256 over the payload under a key that every image of the site holds. It is worth
// nothing against a thief of one image; it makes a stranger's flood cost 2 µs a packet instead of 100.
import { createHmac, type KeyObject, sign, timingSafeEqual, verify } from 'node:crypto';
import { publicKeyOf } from '../../formats/roster.ts';
import { type Dropped, decode, encode, type SiteTag } from './codec.ts';
import type { Message } from './messages.ts';
import type { Site } from './site.ts';
import type { PublicKey } from './terms.ts';

const filterLength = 8;
const signatureLength = 64;
/** What this version sends, and what it takes from later ones. Bytes. */
const largestSent = 500;
/** Beside filter and signature. */
export const largestPayload = largestSent - filterLength - signatureLength;
export const largestReceived = 1_400;

export type Refused = Dropped | 'size' | 'filter' | 'stranger' | 'busy' | 'signature';

/** Leave to check one more signature: what bounds them knows the source and the time. */
type MayCheck = () => boolean;

/** Seals and opens for one site; counts what it drops by reason, and never grows. */
export class Envelopes {
  readonly dropped: Record<Refused, number> = {
    malformed: 0,
    unknown: 0,
    foreign: 0,
    size: 0,
    filter: 0,
    stranger: 0,
    busy: 0,
    signature: 0,
  };
  readonly #tag: SiteTag;
  readonly #filterKey: Uint8Array;
  readonly #keys = new Map<PublicKey, KeyObject>();

  constructor(tag: SiteTag, filterKey: Uint8Array) {
    this.#tag = tag;
    this.#filterKey = filterKey;
  }

  seal(message: Message, key: KeyObject): Buffer {
    const payload = encode(message, this.#tag);
    const signed = Buffer.concat([this.#filterOf(payload), payload]);
    const bytes = Buffer.concat([signed, sign(null, signed, key)]);
    if (bytes.length > largestSent)
      throw new RangeError(`a message of ${bytes.length} bytes: ${message.body.kind}`);
    return bytes;
  }

  /**
   * The message, if it is one of this site, signed by the key that the roster has for its sender. Never throws.
   * `mayCheck` is asked last, right before the signature is checked.
   */
  open(bytes: Buffer, site: Site, mayCheck: MayCheck = () => true): Message | undefined {
    const opened = this.#open(bytes, site, mayCheck);
    if (typeof opened !== 'string') return opened;
    this.dropped[opened] += 1;
    return undefined;
  }

  #open(bytes: Buffer, site: Site, mayCheck: MayCheck): Message | Refused {
    const end = bytes.length - signatureLength;
    if (end <= filterLength || bytes.length > largestReceived) return 'size';
    const payload = bytes.subarray(filterLength, end);
    if (!timingSafeEqual(bytes.subarray(0, filterLength), this.#filterOf(payload))) return 'filter';
    const message = decode(payload, this.#tag);
    if (typeof message === 'string') return message;
    const key = speakerOf(message, site);
    if (key === undefined) return 'stranger';
    if (!mayCheck()) return 'busy';
    const genuine = verify(null, bytes.subarray(0, end), this.#keyObject(key, site), bytes.subarray(end));
    return genuine ? message : 'signature';
  }

  #filterOf(payload: Buffer): Buffer {
    return createHmac('sha256', this.#filterKey).update(payload).digest().subarray(0, filterLength);
  }

  /** Parsing a key costs more than using it; there are at most as many as places. */
  #keyObject(key: PublicKey, site: Site): KeyObject {
    let object = this.#keys.get(key);
    if (object === undefined) {
      if (this.#keys.size >= site.members.length) this.#keys.clear();
      object = publicKeyOf(key);
      this.#keys.set(key, object);
    }
    return object;
  }
}

/** The key a message must be signed with: its place's, or the one it names where boards have no places yet. */
export function speakerOf({ body, from }: Message, site: Site): PublicKey | undefined {
  if (body.kind === 'claim' || body.kind === 'offer') {
    return site.claimed && !site.deniedKeys.includes(body.key) ? body.key : undefined;
  }
  const member = site.members[from];
  return member?.denied === false ? member.key : undefined;
}
