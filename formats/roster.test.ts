import { createPrivateKey, type KeyObject } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Failure } from './errors.ts';
import { electorsOf, place, type Roster, readRoster, rosterHash, writeRoster } from './roster.ts';

const seed = (byte: number): KeyObject =>
  createPrivateKey({
    key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.alloc(32, byte)]),
    format: 'der',
    type: 'pkcs8',
  });
const rawPublic = (key: KeyObject) =>
  Buffer.from(key.export({ format: 'jwk' }).x ?? '', 'base64url').toString('hex');
const siteKey = seed(1);

const roster: Roster = {
  site: 'shop-7',
  epoch: 1,
  previous: null,
  enrolment: 'stamped',
  policy: 'first-online',
  onFounderLoss: 'alarm',
  subnet: '198.18.7.0/24',
  places: [
    {
      place: place(2),
      name: 'bar',
      key: 'bb'.repeat(32),
      server: true,
      class: 1,
      domain: 'b',
      elector: true,
    },
    {
      place: place(1),
      name: 'till',
      key: 'aa'.repeat(32),
      server: true,
      class: 0,
      domain: 'a',
      elector: true,
    },
    {
      place: place(3),
      name: 'sign',
      key: 'cc'.repeat(32),
      server: false,
      class: 2,
      domain: 'a',
      elector: true,
    },
  ],
  denied: [],
};

const why = (bytes: Uint8Array, key = rawPublic(siteKey)): string | undefined => {
  try {
    readRoster(bytes, key);
  } catch (error) {
    return error instanceof Failure ? error.problems[0]?.why : String(error);
  }
  return undefined;
};

describe('roster', () => {
  it('has the same bytes for ever', async () => {
    const text = Buffer.from(writeRoster(roster, siteKey)).toString();
    await expect(text).toMatchFileSnapshot('golden/roster-1.txt');
  });

  it('reads what it wrote, whatever the order of the places was', () => {
    const read = readRoster(writeRoster(roster, siteKey), rawPublic(siteKey));
    expect(read.hash).toBe(rosterHash(roster));
    expect(rosterHash(read.roster)).toBe(read.hash);
    expect(electorsOf(read.roster)).toEqual([1, 2, 3]);
  });

  it('tolerates fields it does not know, under the same signature', async () => {
    const { sign } = await import('node:crypto');
    const lines = Buffer.from(writeRoster(roster, siteKey)).toString().split('\n');
    const signed = `${lines[0]}\n${(lines[1] ?? '').replace('{', '{"colour":"red",')}\n`;
    const file = `${signed}${sign(null, Buffer.from(signed), siteKey).toString('hex')}\n`;
    expect(readRoster(Buffer.from(file), rawPublic(siteKey)).roster.site).toBe('shop-7');
  });

  it('refuses another key, every flipped byte, and text that is not one', () => {
    const bytes = writeRoster(roster, siteKey);
    expect(why(bytes, rawPublic(seed(2)))).toBe('its signature is not by the key of this site');
    for (let at = 0; at < bytes.length; at += 7) {
      const torn = Uint8Array.from(bytes);
      torn[at] = (torn[at] ?? 0) ^ 1;
      expect(why(torn), `byte ${at}`).toBeDefined();
    }
    expect(why(Buffer.from(''))).toBe("its first line is not 'edgekiln roster 1'");
    expect(why(bytes.subarray(0, bytes.length - 3))).toBe('it is not three lines');
  });

  it.each([
    ['place 1 is listed twice', { places: roster.places.map((p) => ({ ...p, place: place(1) })) }],
    [
      'till has the key of another place',
      { places: roster.places.map((p) => ({ ...p, key: 'aa'.repeat(32) })).reverse() },
    ],
    ['only epoch 1 has no previous roster', { epoch: 2 }],
    [
      'it has 0 electors; 1 to 7 can decide',
      { places: roster.places.map((p) => ({ ...p, elector: false })) },
    ],
    ['no place may become a server', { places: roster.places.map((p) => ({ ...p, server: false })) }],
    ['the designated founder sign is not a place that may become a server', { policy: 'designated: sign' }],
  ])('refuses to write: %s', (problem, change) => {
    expect(() => writeRoster({ ...roster, ...change }, siteKey)).toThrow(
      `the roster is not sound: ${problem}`,
    );
  });
});
