import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Failure } from '../../formats/errors.ts';
import { electorsOf, publicKeyOf, type Roster, readRoster } from '../../formats/roster.ts';
import { sealStamp } from '../../formats/stamp.ts';
import { Keyring } from '../keys/keyring.ts';
import { parseProfile } from '../profile/load.ts';
import type { Profile } from '../profile/profile.ts';
import { defaultSubnet, siteRoster } from './roster.ts';

function profile(devices: string, more = ''): Profile {
  const text = `apiVersion: edgekiln/v1
site: {name: shop}
board: qemu-x86_64
k3s: {standIn: true}
devices: ${devices}
users: [{name: tester, sshKeys: ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA t']}]
${more}
`;
  return parseProfile(Buffer.from(text), 'shop.yaml').profile;
}

async function keyring(): Promise<Keyring> {
  const folder = await mkdtemp(join(tmpdir(), 'edgekiln-roster-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return new Keyring('shop', folder);
}

async function read(ring: Keyring, text: string): Promise<Roster> {
  const { x } = (await ring.siteKey()).key.export({ format: 'jwk' });
  return readRoster(Buffer.from(text), Buffer.from(x ?? '', 'base64url').toString('hex')).roster;
}

test('lists every device with its key; the same profile gives the same bytes', async () => {
  const ring = await keyring();
  const shop = profile(
    '[{name: a}, {name: b, hardware: 9, failureDomain: shelf}, {name: c, eligible: false}]',
  );
  const text = await siteRoster(shop, ring);
  expect(await siteRoster(shop, ring)).toBe(text);
  const roster = await read(ring, text);
  expect(roster).toMatchObject({
    site: 'shop',
    epoch: 1,
    previous: null,
    enrolment: 'stamped',
    policy: 'first-online',
    subnet: defaultSubnet('shop'),
    denied: [],
    places: [
      { place: 1, name: shop.devices[0]?.hostname, server: true, class: 4, domain: 'a', elector: true },
      { place: 2, class: 0, domain: 'shelf' },
      { place: 3, server: false },
    ],
  });
  const { x } = (await ring.deviceKey('b')).export({ format: 'jwk' });
  expect(publicKeyOf(roster.places[1]?.key ?? '').export({ format: 'jwk' }).x).toBe(x);
  expect(await readdir(join(ring.folder, 'rosters'))).toEqual(['1']);
});

test('a device more is the next epoch; electors stay those of the first; one that is gone is denied', async () => {
  const ring = await keyring();
  const seven = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((name) => `{name: ${name}}`);
  await siteRoster(profile(`[${seven.slice(0, 3).join()}]`), ring);
  const grown = await read(ring, await siteRoster(profile(`[${seven.join()}]`), ring));
  expect([grown.epoch, electorsOf(grown), grown.denied]).toEqual([2, [1, 2, 3], []]);
  expect(grown.previous).toMatch(/^[0-9a-f]{64}$/);
  const shrunk = await read(ring, await siteRoster(profile(`[${seven.slice(0, 2).join()}]`), ring));
  expect([shrunk.epoch, electorsOf(shrunk), shrunk.places.length]).toEqual([3, [1, 2, 3], 7]);
  expect(shrunk.denied).toHaveLength(5);
});

test('a place never becomes another device', async () => {
  const ring = await keyring();
  await siteRoster(profile('[{name: a}, {name: b}]'), ring);
  for (const devices of ['[{name: b}, {name: a}]', '[{name: b}]', '[{name: new}, {name: a}, {name: b}]']) {
    const refused = await siteRoster(profile(devices), ring).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(Failure);
    expect((refused as Failure).problems[0]?.what).toMatch(/would take place 1, which is another device's$/);
  }
});

test('builds at the same time agree', async () => {
  const ring = await keyring();
  await ring.siteKey();
  const two = profile('[{name: a}, {name: b}]');
  const texts = await Promise.all([siteRoster(two, ring), siteRoster(two, ring), siteRoster(two, ring)]);
  expect(new Set(texts).size).toBe(1);
});

test('what becomes of a lost founder with data is asked for in the profile, in the next epoch too', async () => {
  const ring = await keyring();
  const written = async (formation?: string) =>
    read(ring, await siteRoster(profile('[{name: a}, {name: b}]', formation), ring));
  expect(await written()).toMatchObject({ epoch: 1, onFounderLoss: 'alarm' });
  const refound = 'formation: {onFounderLoss: refound}';
  expect(await written(refound)).toMatchObject({ epoch: 2, onFounderLoss: 'refound' });
});

test('the designated founder is named as the node is', async () => {
  const ring = await keyring();
  const shop = profile('[{name: a}, {name: b}]', 'formation: {policy: designated, founder: b}');
  expect((await read(ring, await siteRoster(shop, ring))).policy).toBe(
    `designated: ${shop.devices[1]?.hostname}`,
  );
});

test('the largest site fits its stamp', async () => {
  const ring = await keyring();
  const names = Array.from({ length: 253 }, (_, index) => `{name: checkout-${index}}`);
  const roster = await siteRoster(profile(`[${names.join()}]`), ring);
  const extent = { start: 0, size: 1 };
  const stamp = {
    version: 1,
    site: 'shop',
    device: 'checkout-1',
    hostname: 'shop-checkout-1',
    place: 1,
    flash: '6a1ff1c8-3b7a-4d0c-8a54-8f1d86b3a7a1',
    deviceKey: '',
    disk: { bootState: [extent, extent], slots: { a: extent, b: extent } },
    slot: { digest: '', mapped: Array.from({ length: 100 }, () => [1_000_000_000, 1_000_000_000] as const) },
    roster,
  } as const;
  expect(sealStamp(stamp, generateKeyPairSync('ed25519').privateKey)).toHaveLength(65536);
});
