// The k3s of a build, and the container images that go with it.
import type { SiteApp } from '../../formats/app.ts';
import type { Architecture } from '../artifacts/debian/apt.ts';
import { imagesOfSite } from '../artifacts/images/site.ts';
import { disabledAddons } from '../artifacts/images/wanted.ts';
import { k3sFiles } from '../artifacts/k3s.ts';
import { takeLocal } from '../artifacts/local.ts';
import type { Lock } from '../artifacts/lock.ts';
import { isSha256 } from '../artifacts/sha256.ts';
import { digestOf, type Store } from '../artifacts/store.ts';
import { bundled } from '../installation.ts';
import type { Profile } from '../profile/profile.ts';
import { images } from '../stages/images.ts';
import type { Input, Runner } from './runner.ts';

interface K3sSources {
  readonly profile: Profile;
  readonly architecture: Architecture;
  readonly lock: Lock;
  readonly store: Store;
}

/** The program that goes to `/usr/local/bin/k3s`, and the version that the status page shows. */
export async function k3sProgram(sources: K3sSources): Promise<{ input: Input; version: string }> {
  const { profile, architecture, lock, store } = sources;
  const { k3s } = profile;
  if (k3s.kind === 'standIn') {
    const path = bundled('k3s-stand-in.mjs');
    return { input: { path, digest: (await digestOf(path)).sha256 }, version: 'stand-in' };
  }
  if (k3s.kind === 'file') {
    if (!isSha256(k3s.sha256)) throw new Error('the profile was accepted with a digest that is none');
    const path = await takeLocal({ name: 'k3s.file', path: k3s.path, sha256: k3s.sha256 }, store);
    return { input: { path, digest: k3s.sha256 }, version: `file ${k3s.sha256.slice(0, 12)}` };
  }
  const name = k3sFiles(k3s.release, architecture).binary;
  const pin = lock.files.find((file) => file.name === name);
  if (pin === undefined) throw new Error(`the lock covers the profile and does not name ${name}`);
  return { input: { path: await store.need(pin.sha256, name), digest: pin.sha256 }, version: k3s.release };
}

/** The archives of container images, cut down to what the site needs; refuses when one is missing. */
export async function siteImages(
  sources: K3sSources & { readonly apps: readonly SiteApp[] },
  runner: Runner,
): Promise<Input> {
  const { profile, architecture } = sources;
  const site = await imagesOfSite(profile, architecture, sources);
  const options = {
    architecture,
    archives: site.archives.map(({ name }) => name),
    wanted: site.wanted.map(({ name, by }) => ({ name, by })),
    whole: [...site.whole],
    disabled: disabledAddons(profile.k3s.config),
  };
  const inputs = Object.fromEntries(
    site.archives.map(({ name, path, sha256 }) => [name, { path, digest: sha256 }]),
  );
  return runner.run(images, options, inputs);
}
