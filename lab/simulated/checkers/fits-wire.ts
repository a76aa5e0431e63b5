// Promise 10: whatever a device says can be said: it fits a datagram, and is read as it was meant. An agent that throws here
// would end, start, and say the same again. Looked at in one of so many seeds, for it takes as long as all else: also in seed 1,
// which schedules from files have.
import { isDeepStrictEqual } from 'node:util';
import { decode, encode } from '../../../firstboot/protocol/codec.ts';
import { largestPayload } from '../../../firstboot/protocol/envelope.ts';
import type { Body } from '../../../firstboot/protocol/messages.ts';
import type { ShortHash, Signature } from '../../../firstboot/protocol/terms.ts';
import type { Checker } from './checker.ts';

const promise = 'what is said can be said';
const oneOf = 64;
const tag = { name: 'simulated', tag: '0123456789abcdef' as ShortHash };
const signature = 'ed'.repeat(64) as Signature;

export function fitsWire(): Checker {
  return {
    promise,
    sent(world, { device }, message) {
      if (world.scenario.seed % oneOf !== 1) return;
      const said = { ...message, body: sealed(message.body) };
      try {
        const bytes = encode(said, tag);
        const heard = bytes.length <= largestPayload && decode(bytes, tag);
        if (!isDeepStrictEqual(heard, said)) world.violate(promise, `device ${device}: ${said.body.kind}`);
      } catch (error) {
        world.violate(promise, `device ${device}: ${said.body.kind}: ${error}`);
      }
    },
  };
}

/** Signatures of the model are words; on the wire they are 64 bytes. */
function sealed(body: Body): Body {
  return 'signature' in body && body.signature !== undefined ? { ...body, signature } : body;
}
