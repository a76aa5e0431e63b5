// The gate: an image without internet pulls nothing, so all that is wanted must be in an archive.
import type { Problem } from '../../../formats/errors.ts';
import type { Architecture } from '../debian/apt.ts';
import type { ArchivedImage, ImageArchive, Platform } from './archive.ts';
import { parseReference, printReference } from './reference.ts';
import type { Chosen } from './trim.ts';
import type { WantedImage } from './wanted.ts';

/** Go's word for a Debian architecture, as images carry it. */
const goArchitecture: Readonly<Record<Architecture, string>> = {
  amd64: 'amd64',
  arm64: 'arm64',
  armhf: 'arm',
};

/** An archive, and what of it is needed. */
export interface Kept {
  readonly archive: ImageArchive;
  readonly chosen: readonly Chosen[];
}

/**
 * Finds each wanted image in the first archive that has it for the architecture. Either every image is found, or the
 * problems name those that are not, and who wants them.
 */
export function matchImages(
  wanted: readonly WantedImage[],
  archives: readonly ImageArchive[],
  architecture: Architecture,
): { readonly kept: readonly Kept[]; readonly problems: readonly Problem[] } {
  const go = goArchitecture[architecture];
  const kept = archives.map((archive) => ({ archive, chosen: new Map<Platform, Set<string>>() }));
  const problems: Problem[] = [];
  for (const [name, by] of wantedBy(wanted)) {
    const found = kept.flatMap(({ archive, chosen }) => {
      // Of several under one name the last counts, as it does for containerd.
      const image = archive.images.findLast((one) => one.platforms.has(go) && answers(one, name));
      const platform = image?.platforms.get(go);
      return platform === undefined ? [] : [{ chosen, platform }];
    })[0];
    if (found === undefined) {
      const images = archives.flatMap((archive) => archive.images);
      problems.push(missing(name, by, images, go));
    } else {
      const names = found.chosen.get(found.platform) ?? new Set();
      found.chosen.set(found.platform, names.add(askedFor(name)));
    }
  }
  return {
    kept: kept.map(({ archive, chosen }) => ({
      archive,
      chosen: [...chosen].map(([platform, names]) => ({ platform, names: [...names].sort() })),
    })),
    problems,
  };
}

/** What the kubelet asks containerd for: with a digest, it leaves out the tag. */
function askedFor(name: string): string {
  const reference = parseReference(name);
  if (reference?.digest === undefined) return name;
  const { repository, digest } = reference;
  return printReference({ repository, digest });
}

function wantedBy(wanted: readonly WantedImage[]): Map<string, string[]> {
  const map = new Map<string, string[]>();
  for (const { name, by } of wanted) map.set(name, [...new Set([...(map.get(name) ?? []), by])]);
  return map;
}

/** Whether an image is what a name asks for. A digest is the name's last word: the tag beside it says nothing. */
function answers(image: ArchivedImage, name: string): boolean {
  const reference = parseReference(name);
  if (reference === undefined) return false;
  if (reference.digest === undefined) return image.names.includes(name);
  return image.digest === reference.digest && image.names.some((each) => sameRepository(each, name));
}

function sameRepository(a: string, b: string): boolean {
  return parseReference(a)?.repository === parseReference(b)?.repository;
}

function missing(name: string, by: readonly string[], images: readonly ArchivedImage[], go: string): Problem {
  const asker = by.join(', ');
  if (parseReference(name) === undefined) {
    return {
      what: `${JSON.stringify(name)} is not the name of an image`,
      why: `wanted by ${asker}`,
      fix: 'write a name such as registry.example.com/shop/web:2',
    };
  }
  return {
    what: `the image ${name} is in no archive`,
    why: [`wanted by ${asker}`, ...nearby(name, images, go)].join('; '),
    fix: `give an archive that holds it, such as: ${howToGet(name, go)}`,
  };
}

/** By a digest, an image is only found as a whole, with all its platforms: a part has another digest. */
function howToGet(name: string, go: string): string {
  const reference = parseReference(name);
  return reference?.digest === undefined
    ? `skopeo copy --override-arch ${go} docker://${name} docker-archive:FILE.tar:${name}`
    : `skopeo copy --all docker://${askedFor(name)} oci-archive:FILE.tar:${reference.repository}`;
}

/** What comes close in the archives, in words. */
function nearby(name: string, images: readonly ArchivedImage[], go: string): string[] {
  const reference = parseReference(name);
  const other = images.find((image) => answers(image, name));
  if (other !== undefined)
    return other.platforms.size === 0
      ? ['the archive that names it lacks parts of it']
      : [`it is there for ${[...other.platforms.keys()].join(', ')}, not ${go}`];
  const names = images.flatMap((image) => image.names).filter((each) => sameRepository(each, name));
  if (names.length === 0) {
    const nameless = images.filter((image) => image.names.length === 0).length;
    return nameless === 0 ? [] : [`the archives hold images without a name: ${nameless}`];
  }
  if (reference?.digest !== undefined && names.some((each) => parseReference(each)?.tag === reference.tag)) {
    return ['it is there by its tag only, and a digest is kept by OCI archives alone'];
  }
  return [`the archives have ${[...new Set(names)].sort().join(', ')}`];
}
