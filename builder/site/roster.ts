// The roster of a site: the signed list of its places, made from the profile and the keys of its devices.
//
// The folder of the site's keys keeps every roster that was given out, `rosters/EPOCH`, and none is ever replaced:
// the same profile gives the same roster again, another one gets the next epoch and names the one before.
import { createHash, createPublicKey, type KeyObject, randomBytes } from 'node:crypto';
import { link, mkdir, open, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../../formats/errors.ts';
import { place, type Roster, readRoster, type VerifiedRoster, writeRoster } from '../../formats/roster.ts';
import { findBoard } from '../boards/boards.ts';
import type { Keyring } from '../keys/keyring.ts';
import type { Device, Profile } from '../profile/profile.ts';

/** The roster file of the profile as it is now; made and kept if it is a new one. */
export async function siteRoster(profile: Profile, keyring: Keyring): Promise<string> {
  const { key } = await keyring.siteKey();
  const keys = new Map<string, string>();
  for (const { name } of profile.devices) keys.set(name, rawPublicKey(await keyring.deviceKey(name)));
  const folder = join(keyring.folder, 'rosters');
  for (;;) {
    const last = await newestRoster(folder, rawPublicKey(key));
    const text = nextRoster(profile, keys, key, last);
    if (text === last?.text || (await keep(folder, (last?.roster.epoch ?? 0) + 1, text))) return text;
    // Another build gave out this epoch meanwhile: ours comes after it.
  }
}

/** A roster that was given out, and the file it was read from. */
interface GivenRoster extends VerifiedRoster {
  readonly text: string;
}

/**
 * The roster that follows: `last` itself where nothing changed. `keys` are raw public keys by device. Devices may be
 * added at the end; one that is gone from the end is denied from now on. Refuses a profile that moves a place.
 */
function nextRoster(
  profile: Profile,
  keys: ReadonlyMap<string, string>,
  siteKey: KeyObject,
  last: GivenRoster | undefined,
): string {
  const { site, network, formation } = profile;
  const listed = placesOf(profile.devices, keys);
  const places = last === undefined ? listed : follow(last.roster, listed);
  const common = {
    site: site.name,
    enrolment: 'stamped',
    policy: formation.policy === 'designated' ? founderOf(profile, formation.founder) : formation.policy,
    onFounderLoss: formation.policy === 'first-online' ? formation.onFounderLoss : 'alarm',
    subnet: network.siteSubnet ?? defaultSubnet(site.name),
    places,
    denied: places.flatMap(({ key }) => (key === undefined || isListed(listed, key) ? [] : [key])),
  } as const;
  const write = (epoch: number, previous: string | null): string =>
    Buffer.from(writeRoster({ ...common, epoch, previous }, siteKey)).toString('utf8');
  if (last === undefined) return write(1, null);
  const same = write(last.roster.epoch, last.roster.previous);
  return same === last.text ? same : write(last.roster.epoch + 1, last.hash);
}

type Places = Roster['places'];

function placesOf(devices: readonly Device[], keys: ReadonlyMap<string, string>): Places {
  return devices.map((device, index) => ({
    place: place(index + 1),
    name: device.hostname,
    key: keys.get(device.name),
    server: device.eligible,
    // The profile's numbers grow with the hardware; the lower class comes first.
    class: 9 - (device.hardware ?? findBoard(device.board)?.hardware ?? 0),
    domain: device.failureDomain,
    elector: device.elector,
  }));
}

/** Places of devices that are gone stay, and electors are those of the first roster: promises rest on them. */
function follow(last: Roster, listed: Places): Places {
  const moved = listed.find(({ place: now, key }) => {
    const before = last.places.find((entry) => entry.key === key)?.place;
    const there = last.places.find((entry) => entry.place === now);
    return before === undefined ? there !== undefined : before !== now;
  });
  if (moved !== undefined) {
    throw new Failure('input', {
      what: `${moved.name} would take place ${moved.place}, which is another device's`,
      where: 'devices',
      why: 'the place of a device is its address and its voice for the life of the site; rosters with it were given out',
      fix: 'keep the order of the devices, put new ones at the end, and take away only from the end',
    });
  }
  const gone = last.places.filter(({ key }) => key !== undefined && !isListed(listed, key));
  const electors = new Set(last.places.filter((entry) => entry.elector).map((entry) => entry.place));
  return [...listed, ...gone].map((entry) => ({ ...entry, elector: electors.has(entry.place) }));
}

const isListed = (places: Places, key: string): boolean => places.some((entry) => entry.key === key);

function founderOf({ devices }: Profile, founder: string): `designated: ${string}` {
  const device = devices.find(({ name }) => name === founder);
  if (device === undefined) throw new Error(`the profile was accepted with a founder ${founder}`);
  return `designated: ${device.hostname}`;
}

/** Until a fleet gives subnets out: a constant of the site's name. Two sites on one LAN may need `network.siteSubnet`. */
export function defaultSubnet(site: string): string {
  const [byte = 0] = createHash('sha256').update(`edgekiln site subnet ${site}`).digest();
  return `198.18.${byte}.0/24`;
}

/** 32 bytes in hexadecimal. */
function rawPublicKey(key: KeyObject): string {
  const { x } = createPublicKey(key).export({ format: 'jwk' });
  if (x === undefined) throw new Error('not an Ed25519 key');
  return Buffer.from(x, 'base64url').toString('hex');
}

async function newestRoster(folder: string, siteKey: string): Promise<GivenRoster | undefined> {
  const names = await readdir(folder).catch(() => []);
  const epoch = Math.max(0, ...names.filter((name) => /^\d+$/.test(name)).map(Number));
  if (epoch === 0) return undefined;
  const file = join(folder, String(epoch));
  const bytes = await readFile(file);
  return { ...readRoster(bytes, siteKey, file), text: bytes.toString('utf8') };
}

/** False where the epoch is taken. */
async function keep(folder: string, epoch: number, text: string): Promise<boolean> {
  const temporary = join(folder, `${epoch}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await link(temporary, join(folder, String(epoch)));
    return true;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    if (code === 'EEXIST') return false;
    const fix = 'make the folder of the keys writable for who builds';
    throw new Failure('io', {
      what: 'the roster cannot be kept beside the keys',
      where: folder,
      why: code,
      fix,
    });
  } finally {
    await rm(temporary, { force: true });
  }
}
