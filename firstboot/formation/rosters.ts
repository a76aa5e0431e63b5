// The roster a device goes by: the one of its stamp, or a newer one that reached it later and is kept on data.
import { createHash, type KeyObject } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { readRoster } from '../../formats/roster.ts';
import type { Stamp } from '../../formats/stamp.ts';
import { replaceFile } from '../boot/replace.ts';
import { inOneLine } from '../inoneline.ts';
import { type Site, siteOf } from '../protocol/site.ts';
import type { PublicKey } from '../protocol/terms.ts';
import { rawKey } from './keys.ts';

/** A roster that the site's key signed, and the subnet of `site0` in it. */
export interface GoodRoster {
  readonly site: Site;
  readonly text: string;
  /** Without the host part and its dot, such as `198.18.7`. */
  readonly subnet: string;
}

export class Rosters {
  readonly #siteKey: string;
  readonly #file: string;
  #current: GoodRoster;

  private constructor(siteKey: string, file: string, current: GoodRoster) {
    this.#siteKey = siteKey;
    this.#file = file;
    this.#current = current;
  }

  /** Takes the newest of stamp and data. Fails where the stamp has none that is good, or this device is not in it. */
  static async open(stamp: Stamp, siteKey: KeyObject, deviceKey: PublicKey, file: string): Promise<Rosters> {
    if (stamp.roster === undefined) throw new Error('the stamp carries no roster: build the image again');
    const rosters = new Rosters(rawKey(siteKey), file, verify(stamp.roster, rawKey(siteKey), 'stamp'));
    const kept = await readFile(file, 'utf8').catch(() => undefined);
    const newer = kept === undefined ? undefined : rosters.#tryVerify(kept);
    if (newer !== undefined && newer.site.epoch > rosters.#current.site.epoch) rosters.#current = newer;
    const { site } = rosters.#current;
    const own = site.members[stamp.place];
    if (site.name !== stamp.site) throw new Error(`the roster is of site ${site.name}`);
    if (own?.key !== deviceKey || own.name !== stamp.hostname) {
      throw new Error(
        `place ${stamp.place} of the roster is not this device: flash it with an image of today`,
      );
    }
    return rosters;
  }

  get current(): GoodRoster {
    return this.#current;
  }

  /** A roster from elsewhere, verified. Fails where it is not signed by the site, or contradicts itself. */
  verify(text: string): GoodRoster {
    return verify(text, this.#siteKey, 'roster');
  }

  /** Goes by it from now on, and over a restart. */
  async adopt(roster: GoodRoster): Promise<void> {
    this.#current = roster;
    await mkdir(dirname(this.#file), { recursive: true });
    await replaceFile(this.#file, Buffer.from(roster.text), { mode: 0o644, uid: 0, gid: 0 });
  }

  #tryVerify(text: string): GoodRoster | undefined {
    try {
      return this.verify(text);
    } catch (error) {
      console.error(`roster on data: ${inOneLine(error)}`);
      return undefined;
    }
  }
}

function verify(text: string, siteKey: string, where: string): GoodRoster {
  const verified = readRoster(Buffer.from(text), siteKey, where);
  const site = siteOf(verified, (word) => createHash('sha256').update(word).digest('hex'));
  return { site, text, subnet: verified.roster.subnet.replace(/\.0\/24$/, '') };
}
