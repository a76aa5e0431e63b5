// Messages of every kind, and packets spoilt in every way, for the tests and the fuzzer of the codec.
import fc from 'fast-check';
import type { SiteTag } from '../../firstboot/protocol/codec.ts';
import type { Body, Message } from '../../firstboot/protocol/messages.ts';
import { phases } from '../../firstboot/protocol/phases.ts';
import type {
  BootId,
  Challenge,
  ClusterId,
  Hash,
  Incarnation,
  PublicKey,
  ShortHash,
  Signature,
} from '../../firstboot/protocol/terms.ts';
import type { Place } from '../../formats/roster.ts';
import type { Random } from '../../lab/simulated/random.ts';

export const tag: SiteTag = { name: 'shop-7', tag: '0123456789abcdef' as ShortHash };

const bits48 = fc.integer({ min: 0, max: 2 ** 48 - 1 });
const hex = (bytes: number) =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((raw) => Buffer.from(raw).toString('hex'));
const place = fc.integer({ min: 1, max: 253 }).map((index) => index as Place);
const incarnation = bits48.map((bits) => bits as Incarnation);
const challenge = bits48.map((bits) => bits as Challenge);
const cluster = hex(6).map((text) => text as ClusterId);
const identity = fc.record({ cluster, ca: hex(32).map((text) => text as Hash), founder: place });
const ballot = fc.record({ round: fc.integer({ min: 0, max: 2 ** 32 - 1 }), place, incarnation });
const vector = fc.array(incarnation, { maxLength: 7 });
const accepted = fc.record({ ballot, value: identity });
const signature = hex(64).map((text) => text as Signature);
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const kind = <K extends Body['kind']>(name: K) => fc.constant(name);

const key = hex(32).map((text) => text as PublicKey);
const clusterSaid = fc.record({
  identity,
  ready: fc.boolean(),
  server: fc.boolean(),
  servers: fc.integer({ min: 0, max: 255 }),
  members: fc.integer({ min: 0, max: 253 }),
  data: fc.boolean(),
});

const body: fc.Arbitrary<Body> = fc.oneof(
  fc.record({
    kind: kind('hello'),
    phase: fc.constantFrom(...phases),
    canFound: fc.boolean(),
    cluster: maybe(clusterSaid),
    decided: maybe(cluster),
    gone: maybe(cluster),
    epoch: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
    roster: hex(8).map((text) => text as ShortHash),
    serial: maybe(fc.integer({ min: 1, max: 2 ** 32 - 1 })),
    vector,
    challenge,
    echoes: fc.array(fc.record({ place, challenge }), { maxLength: 32, size: 'max' }),
  }),
  fc.record({ kind: kind('prepare'), ballot, challenge }),
  fc.record({
    kind: kind('promise'),
    ballot,
    promised: maybe(ballot),
    accepted: maybe(accepted),
    vector,
    echo: challenge,
  }),
  fc.record({ kind: kind('accept'), ballot, value: identity, promisers: vector, challenge }),
  fc.record({
    kind: kind('accepted'),
    ballot,
    signature: maybe(signature),
    promised: maybe(ballot),
    vector,
    echo: challenge,
  }),
  fc.record({ kind: kind('recover'), promised: maybe(ballot), challenge }),
  fc.record({
    kind: kind('recovered'),
    promised: maybe(ballot),
    accepted: maybe(accepted),
    vector,
    echo: challenge,
  }),
  fc.record({
    kind: kind('loss'),
    cause: fc.constantFrom('silent' as const, 'gone' as const),
    cluster,
    signature,
  }),
  fc.record({
    kind: kind('claim'),
    key,
    class: fc.integer({ min: 0, max: 255 }),
    canFound: fc.boolean(),
    wants: maybe(key),
    echo: maybe(challenge),
    withdrew: fc.boolean(),
    challenge,
  }),
  fc.record({
    kind: kind('offer'),
    key,
    founder: key,
    serial: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
    listed: fc.integer({ min: 1, max: 253 }),
    open: fc.boolean(),
    cluster: maybe(clusterSaid),
    decided: maybe(cluster),
    challenge,
    answers: fc.array(fc.record({ place: fc.oneof(fc.constant(0 as const), place), challenge }), {
      maxLength: 30,
      size: 'max',
    }),
  }),
);

export const message: fc.Arbitrary<Message> = fc.record({
  from: place,
  to: fc.oneof(fc.constant(0 as const), place),
  site: fc.constant(tag.name),
  electors: hex(8).map((text) => text as ShortHash),
  boot: bits48.map((bits) => bits as BootId),
  sequence: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  incarnation,
  generation: fc.integer({ min: 1, max: 65_535 }),
  body,
});

/** Spoils a packet: bits, bytes, cuts, growth, doubled and swapped pieces. */
export function spoil(packet: Buffer, random: Random): Buffer {
  let bytes = Buffer.from(packet);
  for (let times = 1 + random.below(4); times > 0; times -= 1) {
    const at = random.below(bytes.length || 1);
    const kindOf = random.below(6);
    if (kindOf === 0) bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
    else if (kindOf === 1) bytes[at] = random.below(256);
    else if (kindOf === 2) bytes = bytes.subarray(0, at);
    else if (kindOf === 3) bytes = Buffer.concat([bytes, Buffer.alloc(random.below(40), random.below(256))]);
    else if (kindOf === 4)
      bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(random.below(bytes.length || 1))]);
    else bytes.copyWithin(at, random.below(bytes.length || 1));
  }
  return bytes.subarray(0, 4_000);
}
