// The files of a k3s release.
import type { Architecture } from './debian/apt.ts';
import { parseReference } from './images/reference.ts';
import type { PinnedFile } from './lock.ts';
import { type PinOptions, type PublishedSums, pinPublished, publishedSums, smallFile } from './published.ts';

/** What the binary, the air-gap images and the sums of an architecture are called: the binary says armhf, the rest arm. */
const assets: Readonly<Record<Architecture, { binary: string; images: string; sums: string }>> = {
  amd64: { binary: 'k3s', images: 'k3s-airgap-images-amd64.tar.zst', sums: 'sha256sum-amd64.txt' },
  arm64: { binary: 'k3s-arm64', images: 'k3s-airgap-images-arm64.tar.zst', sums: 'sha256sum-arm64.txt' },
  armhf: { binary: 'k3s-armhf', images: 'k3s-airgap-images-arm.tar.zst', sums: 'sha256sum-arm.txt' },
};

/** Names in the lock of what an architecture needs of a release. */
export interface K3sFiles {
  readonly binary: string;
  /** Archive of all images of the release. */
  readonly images: string;
  /** The names of these images, one a line; the same file for every architecture. */
  readonly imageList: string;
}

export function k3sFiles(release: string, architecture: Architecture): K3sFiles {
  const { binary, images } = assets[architecture];
  const name = (asset: string) => `k3s/${release}/${asset}`;
  return { binary: name(binary), images: name(images), imageList: name('k3s-images.txt') };
}

/**
 * Pins what the architectures need of a release and brings it into the store. Digests are those that the release
 * publishes; the list of images, where it publishes none for it, is taken as it is today.
 */
export async function pinK3s(
  release: string,
  architectures: readonly Architecture[],
  options: PinOptions,
): Promise<PinnedFile[]> {
  const pins = new Map<string, PinnedFile>();
  for (const architecture of architectures) {
    const sumsName = `k3s/${release}/${assets[architecture].sums}`;
    const sums = { name: sumsName, digests: await publishedSums(sumsName, options) };
    const { binary, images, imageList } = k3sFiles(release, architecture);
    for (const name of [binary, images]) pins.set(name, await pinPublished(name, sums, options));
    if (pins.has(imageList)) continue;
    pins.set(imageList, await pinList(imageList, sums, options));
  }
  return [...pins.values()];
}

/** An empty list would let every image pass the gate, and a web page none. */
async function pinList(name: string, sums: PublishedSums, options: PinOptions): Promise<PinnedFile> {
  if (sums.digests.has('k3s-images.txt')) return pinPublished(name, sums, options);
  const bytes = await smallFile(name, options, notAList);
  return { name, ...(await options.store.put(bytes)) };
}

function notAList(text: string): string | undefined {
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  if (lines.length === 0) return 'it is no list of images: it names none';
  const wrong = lines.find((line) => parseReference(line) === undefined);
  return wrong === undefined ? undefined : `it is no list of images: it has the line ${wrong.slice(0, 80)}`;
}
