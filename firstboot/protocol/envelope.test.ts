import { createPrivateKey, type KeyObject } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { place } from '../../formats/roster.ts';
import { scheduleSchema } from '../../lab/simulated/schedule.ts';
import { siteFor } from '../../lab/simulated/site.ts';
import { message, tag } from '../../test/formation/packets.ts';
import { ed25519 } from './ed25519.ts';
import { Envelopes, largestReceived } from './envelope.ts';
import type { Message } from './messages.ts';
import { nowhere, type Site } from './site.ts';
import type { Challenge, PublicKey } from './terms.ts';

const privateKey = (byte: number): KeyObject =>
  createPrivateKey({
    key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.alloc(32, byte)]),
    format: 'der',
    type: 'pkcs8',
  });
const raw = (key: KeyObject) =>
  Buffer.from(key.export({ format: 'jwk' }).x ?? '', 'base64url').toString('hex') as PublicKey;

const keys = [1, 2, 3].map((index) => raw(privateKey(index)));

function siteOfThree(denied = 0): Site {
  const members = [1, 2, 3].map((index) => ({
    place: place(index),
    name: `n${index}`,
    key: keys[index - 1],
    eligible: true,
    class: 0,
    denied: index === denied,
  }));
  const site = siteFor(scheduleSchema.parse({ version: 1, devices: 3, schedule: [] }));
  return { ...site, members: [undefined, ...members] };
}

const [sample] = fc.sample(message, { numRuns: 1, seed: 3 });
const said: Message = {
  ...(sample as Message),
  from: place(1),
  body: { kind: 'recover', promised: undefined, challenge: 5 as Challenge },
};
const filterKey = Buffer.alloc(32, 9);

describe('envelope', () => {
  it('opens what a member sealed, and nothing that was changed', () => {
    const envelopes = new Envelopes(tag, filterKey);
    const bytes = envelopes.seal(said, privateKey(1));
    expect(envelopes.open(bytes, siteOfThree())).toEqual(said);
    for (let at = 0; at < bytes.length; at += 1) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 0x10;
      expect(envelopes.open(changed, siteOfThree()), `byte ${at}`).toBeUndefined();
    }
    expect(envelopes.dropped.filter).toBe(bytes.length - 64);
    expect(envelopes.dropped.signature).toBe(64);
  });

  it('drops another key under a member’s place, a denied member, and a place nobody has', () => {
    const envelopes = new Envelopes(tag, filterKey);
    expect(envelopes.open(envelopes.seal(said, privateKey(2)), siteOfThree())).toBeUndefined();
    expect(envelopes.dropped.signature).toBe(1);
    expect(envelopes.open(envelopes.seal(said, privateKey(1)), siteOfThree(1))).toBeUndefined();
    expect(
      envelopes.open(envelopes.seal({ ...said, from: place(9) }, privateKey(1)), siteOfThree()),
    ).toBeUndefined();
    expect(envelopes.dropped.stranger).toBe(2);
  });

  it('in a claimed site, opens a claim under the key it names, and under no other', () => {
    const claim = (key: PublicKey): Message => ({
      ...said,
      from: nowhere,
      body: {
        kind: 'claim',
        key,
        class: 0,
        canFound: true,
        wants: undefined,
        echo: undefined,
        withdrew: false,
        challenge: 5 as Challenge,
      },
    });
    const envelopes = new Envelopes(tag, filterKey);
    const site = { ...siteOfThree(), claimed: true };
    const [own, other] = [raw(privateKey(7)), raw(privateKey(8))];
    expect(envelopes.open(envelopes.seal(claim(own), privateKey(7)), site)).toEqual(claim(own));
    expect(envelopes.open(envelopes.seal(claim(other), privateKey(7)), site)).toBeUndefined();
    expect(envelopes.dropped.signature).toBe(1);
    const denied = { ...site, deniedKeys: [own] };
    expect(envelopes.open(envelopes.seal(claim(own), privateKey(7)), denied)).toBeUndefined();
    expect(envelopes.open(envelopes.seal(claim(own), privateKey(7)), siteOfThree())).toBeUndefined();
    expect(envelopes.dropped.stranger).toBe(2);
  });

  it('drops what is too large or too small before it looks at it, and a flood by its filter', () => {
    const envelopes = new Envelopes(tag, filterKey);
    for (const size of [0, 1, 71, 72, largestReceived + 1, 65_000]) {
      expect(envelopes.open(Buffer.alloc(size), siteOfThree())).toBeUndefined();
    }
    expect(envelopes.dropped.size).toBe(6);
    const flood = Buffer.alloc(300, 1);
    const site = siteOfThree();
    const began = process.cpuUsage();
    for (let count = 0; count < 10_000; count += 1) envelopes.open(flood, site);
    const { user, system } = process.cpuUsage(began);
    expect(envelopes.dropped.filter).toBe(10_000);
    expect((user + system) / 1_000, 'milliseconds for a second of flood').toBeLessThan(500);
  });
});

describe('statements', () => {
  it('hold under their own key and words only', () => {
    const signatures = ed25519(privateKey(1));
    const signature = signatures.sign('accepted|x');
    expect(signatures.verify(raw(privateKey(1)), 'accepted|x', signature)).toBe(true);
    expect(signatures.verify(raw(privateKey(1)), 'accepted|y', signature)).toBe(false);
    expect(signatures.verify(raw(privateKey(2)), 'accepted|x', signature)).toBe(false);
    expect(signatures.verify(raw(privateKey(1)), 'accepted|x', 'forged' as never)).toBe(false);
  });
});
