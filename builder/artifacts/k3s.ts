// The files of a k3s release: their names, where they are, and the digests that the release publishes for them.
import { readFile, stat } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import got from 'got';
import { Failure } from '../../formats/errors.ts';
import type { Architecture } from './debian/apt.ts';
import { type DownloadOptions, download } from './download.ts';
import type { PinnedFile } from './lock.ts';
import { agentsThrough, proxyFor } from './proxy.ts';
import { isSha256, type Sha256 } from './sha256.ts';

const releases = 'https://github.com/k3s-io/k3s/releases/download';

/** What the binary, the air-gap images and the sums of an architecture are called: the binary says armhf, the rest arm. */
const assets: Readonly<Record<Architecture, { binary: string; images: string; sums: string }>> = {
  amd64: { binary: 'k3s', images: 'k3s-airgap-images-amd64.tar.zst', sums: 'sha256sum-amd64.txt' },
  arm64: { binary: 'k3s-arm64', images: 'k3s-airgap-images-arm64.tar.zst', sums: 'sha256sum-arm64.txt' },
  armhf: { binary: 'k3s-armhf', images: 'k3s-airgap-images-arm.tar.zst', sums: 'sha256sum-arm.txt' },
};
/** The list of all images that a release may pull, the same for every architecture. */
const imageList = 'k3s-images.txt';
/** Lists and sums are a few kilobytes. */
const largestText = 1024 ** 2;

/** Names in the lock of what an architecture needs of a release. */
export interface K3sFiles {
  readonly binary: string;
  readonly images: string;
  readonly imageList: string;
}

export function k3sFiles(release: string, architecture: Architecture): K3sFiles {
  const { binary, images } = assets[architecture];
  const name = (asset: string) => `k3s/${release}/${asset}`;
  return { binary: name(binary), images: name(images), imageList: name(imageList) };
}

/** Where a file of the lock may be had: `EDGEKILN_K3S_MIRROR` (addresses or folders, parted by blanks), else the release. */
export function k3sUrls(name: string): string[] {
  const [, release = '', asset = ''] = name.split('/');
  const given = (process.env['EDGEKILN_K3S_MIRROR'] ?? '').split(/\s+/).filter((base) => base !== '');
  return (given.length === 0 ? [releases] : given).map((base) => {
    const address = /^(https?|file):/.test(base) ? base : pathToFileURL(base).href;
    return `${address.replace(/\/+$/, '')}/${encodeURIComponent(release)}/${asset}`;
  });
}

/** The digests of a `sha256sum` list, by file name. Lines of another form are passed over. */
export function parseSums(text: string): Map<string, Sha256> {
  const sums = new Map<string, Sha256>();
  for (const line of text.split('\n')) {
    const [, digest = '', file = ''] = /^([0-9a-f]{64}) [ *](?:.*\/)?(\S+)\s*$/.exec(line) ?? [];
    if (isSha256(digest)) sums.set(file, digest);
  }
  return sums;
}

/**
 * Pins what the architectures need of a release, and brings it into the store: digests are those that the release
 * publishes; that of the image list, where it publishes none, is the one it has today.
 */
export async function pinK3s(
  release: string,
  architectures: readonly Architecture[],
  options: DownloadOptions & { say(line: string): void },
): Promise<PinnedFile[]> {
  const pins = new Map<string, PinnedFile>();
  for (const architecture of architectures) {
    const sumsName = `k3s/${release}/${assets[architecture].sums}`;
    options.say(
      `k3s ${release} ${architecture}: digests and files from ${new URL(k3sUrls(sumsName)[0] ?? releases).host}`,
    );
    const sums = parseSums((await smallFile(sumsName, options)).toString('utf8'));
    for (const name of Object.values(k3sFiles(release, architecture))) {
      if (pins.has(name)) continue;
      const asset = name.slice(name.lastIndexOf('/') + 1);
      const sha256 = sums.get(asset) ?? (asset === imageList ? await takeList(name, options) : undefined);
      if (sha256 === undefined) throw notPublished(sumsName, asset);
      const { size } = await stat(await download({ name, urls: k3sUrls(name), sha256 }, options));
      pins.set(name, { name, size, sha256 });
    }
  }
  return [...pins.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function takeList(name: string, options: DownloadOptions): Promise<Sha256> {
  return (await options.store.put(await smallFile(name, options))).sha256;
}

/** A small file whose digest nobody knows yet, from the first mirror that has it. */
async function smallFile(name: string, { signal, offline }: DownloadOptions): Promise<Buffer> {
  const said: string[] = [];
  for (const url of offline ? [] : k3sUrls(name)) {
    try {
      return await smallFileAt(new URL(url), signal);
    } catch (error) {
      if (signal?.aborted)
        throw new Failure('interrupted', { what: `the download of ${name} was stopped` }, error);
      said.push(`${url}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new Failure('dependency', {
    what: `${name} cannot be had`,
    why: offline ? 'this run is offline' : said.join('\n  '),
    fix: 'check the release and the network; a mirror or folder with the layout of the releases: EDGEKILN_K3S_MIRROR=…',
  });
}

async function smallFileAt(url: URL, signal: AbortSignal | undefined): Promise<Buffer> {
  if (url.protocol === 'file:') return await readFile(url);
  const proxy = proxyFor(url);
  const request = got(url, {
    retry: { limit: 3 },
    timeout: { request: 60_000 },
    ...(proxy === undefined ? {} : { agent: agentsThrough(proxy) }),
    ...(signal === undefined ? {} : { signal }),
  });
  const response = request.on('downloadProgress', ({ transferred }) => {
    if (transferred > largestText) request.cancel(`it sends more than ${largestText} bytes`);
  });
  return response.buffer();
}

function notPublished(sums: string, asset: string): Failure {
  return new Failure('dependency', {
    what: `${asset} has no published digest`,
    where: sums,
    why: 'nothing is taken that the release does not name',
    fix: 'check the release in the profile (k3s.release) and the mirror',
  });
}
