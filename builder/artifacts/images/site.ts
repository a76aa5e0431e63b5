// What a site wants in the way of images, and the archives it brings: read off profile, lock and store.
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import type { SiteApp } from '../../../formats/app.ts';
import { Failure } from '../../../formats/errors.ts';
import type { Profile } from '../../profile/profile.ts';
import type { Architecture } from '../debian/apt.ts';
import { k3sFiles } from '../k3s.ts';
import type { Lock, PinnedFile } from '../lock.ts';
import type { Sha256 } from '../sha256.ts';
import { digestOf, type Store } from '../store.ts';
import {
  disabledAddons,
  imagesByName,
  imagesOfK3s,
  imagesOfObjects,
  imagesOfOptions,
  type WantedImage,
} from './wanted.ts';

/** An archive on this machine, under the name that people know it by. */
export interface SiteArchive {
  readonly name: string;
  readonly path: string;
  readonly sha256: Sha256;
}

export interface SiteImages {
  readonly wanted: readonly WantedImage[];
  /** k3s's first: an app brings what is not there yet. */
  readonly archives: readonly SiteArchive[];
  /** Names of archives that are taken whole, less what the profile disables. */
  readonly whole: readonly string[];
}

/** The images of k3s and of all apps; `apps` holds their objects. */
export async function imagesOfSite(
  profile: Profile,
  architecture: Architecture,
  from: { readonly lock: Lock; readonly store: Store; readonly apps: readonly SiteApp[] },
): Promise<SiteImages> {
  refuseInnerCharts(from.apps);
  const k3s = await imagesOfRelease(profile, architecture, from);
  const wanted = [
    ...k3s.wanted,
    ...(profile.k3s.kind === 'standIn' ? [] : imagesOfOptions(profile.k3s.config)),
  ];
  const archives = [...k3s.archives];
  for (const { name, objects } of from.apps) wanted.push(...imagesOfObjects(objects, `app ${name}`));
  for (const app of profile.apps) {
    wanted.push(...imagesByName(app.needs, `app ${app.name} (needs)`));
    for (const path of app.images) {
      const { sha256 } = await digestLocal(path, `an image archive of app ${app.name}`);
      archives.push({ name: `${basename(path)} of app ${app.name}`, path, sha256 });
    }
  }
  return { wanted, archives, whole: k3s.whole };
}

/** A chart that a device would install by itself: nobody knows here what it wants. */
function refuseInnerCharts(apps: readonly SiteApp[]): void {
  const problems = apps.flatMap(({ name, objects }) =>
    objects
      .filter(({ apiVersion, kind }) => kind === 'HelmChart' && apiVersion.startsWith('helm.cattle.io/'))
      .map(({ metadata }) => ({
        what: `app ${name} has its devices install a chart: HelmChart ${metadata.name}`,
        why: 'which images it needs cannot be known here, and without internet a device gets neither them nor the chart',
        fix: `make it an app, which is rendered while the image is built: apps: [{name: ${metadata.name}, chart: {path: …}}]`,
      })),
  );
  if (problems.length > 0) throw new Failure('input', problems);
}

/** A release names its images; a binary of one's own comes with archives of them; the stand-in has none. */
async function imagesOfRelease(
  { k3s }: Profile,
  architecture: Architecture,
  { lock, store }: { readonly lock: Lock; readonly store: Store },
): Promise<SiteImages> {
  if (k3s.kind === 'standIn') return { wanted: [], archives: [], whole: [] };
  if (k3s.kind === 'file') {
    const archives: SiteArchive[] = [];
    for (const path of k3s.images) {
      const { sha256 } = await digestLocal(path, 'an image archive of k3s');
      archives.push({ name: `${basename(path)} of k3s`, path, sha256 });
    }
    return { wanted: [], archives, whole: archives.map(({ name }) => name) };
  }
  const files = k3sFiles(k3s.release, architecture);
  const list = pinOf(lock, files.imageList);
  const text = await readFile(await store.need(list.sha256, list.name), 'utf8');
  const archive = pinOf(lock, files.images);
  const path = await store.need(archive.sha256, archive.name);
  return {
    wanted: imagesOfK3s(text, k3s.release, disabledAddons(k3s.config)),
    archives: [{ name: archive.name, path, sha256: archive.sha256 }],
    whole: [],
  };
}

function pinOf(lock: Lock, name: string): PinnedFile {
  const pin = lock.files.find((file) => file.name === name);
  if (pin === undefined) throw new Error(`the lock covers the profile and does not name ${name}`);
  return pin;
}

async function digestLocal(path: string, what: string): Promise<{ sha256: Sha256 }> {
  return digestOf(path).catch((error: unknown) => {
    const why = error instanceof Error ? error.message : String(error);
    const fix = 'put it there, or name the right path in the profile';
    throw new Failure('input', { what: `${what} cannot be read`, where: path, why, fix }, error);
  });
}
