// What flashing gives to hosts in namespaces: the files an image would carry and the stamp of each device, made from a
// profile by the builder's own code, without building an image.
import { createPublicKey } from 'node:crypto';
import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { bundled } from '../../builder/installation.ts';
import { Keyring, publicPem } from '../../builder/keys/keyring.ts';
import { agentConfigOf } from '../../builder/pipeline/agent.ts';
import type { LoadedProfile } from '../../builder/profile/load.ts';
import type { Profile } from '../../builder/profile/profile.ts';
import { deviceStamp } from '../../builder/site/device-stamp.ts';
import { siteRoster } from '../../builder/site/roster.ts';
import { agentConfigFile, renderAgentConfig, siteKeyFile } from '../../formats/agentconfig.ts';
import { Failure } from '../../formats/errors.ts';
import { defaultPersist, persistFile, renderPersist } from '../../formats/persist.ts';
import { openStamp } from '../../formats/stamp.ts';
import type { NamespacePlace } from '../keeper/plan.ts';

/**
 * Parts of a profile that act on images only, where this one says something there: a host in namespaces has this
 * machine's own programs, one interface `eth0`, and no disk.
 */
export function onlyInImages(profile: Profile): readonly string[] {
  const { base, apps, users, files, units, lan, registries, slots, disk } = profile;
  const said: Readonly<Record<string, boolean>> = {
    'base.packages': base.kind === 'debian' && base.packages.length > 0,
    'base.tarball': base.kind === 'tarball',
    apps: apps.length > 0,
    users: users.length > 0,
    files: files.length > 0,
    units: units.length > 0,
    'lan.static': lan.static !== undefined,
    'lan.dns': lan.dns.length > 0,
    'lan.ntp': lan.ntp.length > 0,
    'lan.proxy': lan.proxy !== undefined,
    registries: registries !== undefined,
    'slots.size': slots.size !== undefined,
    'disk.size': disk.size !== undefined,
  };
  return Object.keys(said).filter((name) => said[name]);
}

/** There is no disk: whoever looked at these ranges would find none. */
const nowhere = { start: 0, size: 0 };

/**
 * Flashes the first `count` devices of a profile (all, if not given) into `folder`, with keys from the folder
 * `keysRoot`. EDGEKILN_K3S names a real k3s to use; without it, all have the stand-in.
 */
export async function flashHosts(
  loaded: LoadedProfile,
  folder: string,
  options: { readonly keysRoot: string; readonly count?: number | undefined },
): Promise<readonly NamespacePlace[]> {
  const { profile } = loaded;
  const keyring = new Keyring(profile.site.name, options.keysRoot);
  const { key } = await keyring.siteKey();
  const roster = await siteRoster(profile, keyring);
  const k3s = process.env['EDGEKILN_K3S'] || undefined;
  const slot = join(folder, 'slot');
  const put = (path: string, content: string): void => {
    mkdirSync(dirname(join(slot, path)), { recursive: true, mode: 0o755 });
    writeFileSync(join(slot, path), content);
  };
  const standIn = k3s === undefined;
  const config = {
    ...agentConfigOf(profile, { version: standIn ? 'stand-in' : 'given', standIn }),
    lan: { interface: 'eth0' },
  };
  put(agentConfigFile, renderAgentConfig(config));
  put(siteKeyFile, publicPem(key));
  put(persistFile, renderPersist([...defaultPersist, ...profile.persist]));
  mkdirSync(join(slot, 'usr/lib/edgekiln/images'), { recursive: true });
  mkdirSync(join(slot, 'usr/local/bin'), { recursive: true });
  copyFileSync(bundled('edgekiln-node.mjs'), join(slot, 'usr/lib/edgekiln/edgekiln-node.mjs'));
  copyFileSync(bundled('k3s-stand-in.mjs'), join(slot, 'usr/local/bin/k3s'));
  chmodSync(join(slot, 'usr/local/bin/k3s'), 0o755);

  const wanted = options.count ?? profile.devices.length;
  if (wanted > profile.devices.length) {
    const what = `the profile names ${profile.devices.length} devices, but ${wanted} hosts are asked for`;
    throw new Failure('input', { what, fix: 'add devices to the profile, or ask for fewer' });
  }
  const places: NamespacePlace[] = [];
  for (const [index, { name, hostname }] of profile.devices.slice(0, wanted).entries()) {
    const region = deviceStamp({
      site: profile.site.name,
      device: name,
      hostname,
      place: index + 1,
      disk: { bootState: [nowhere, nowhere], slots: { a: nowhere, b: nowhere } },
      slot: { digest: '', mapped: [] },
      roster,
      siteKey: key,
      deviceKey: await keyring.deviceKey(name),
    });
    const stamp = join(folder, `${hostname}.stamp`);
    writeFileSync(stamp, region, { mode: 0o600 });
    const { flash } = openStamp(region, createPublicKey(key));
    places.push({ name: hostname, flashed: { slot, stamp, flash }, k3s });
  }
  return places;
}
