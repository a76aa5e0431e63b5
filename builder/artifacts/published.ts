// Files that projects publish with their releases: where they are, and the digests that are published for them.
import { readFile, stat } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import got from 'got';
import { Failure } from '../../formats/errors.ts';
import { type DownloadOptions, download } from './download.ts';
import type { PinnedFile } from './lock.ts';
import { agentsThrough, proxyFor } from './proxy.ts';
import { isSha256, type Sha256 } from './sha256.ts';

export interface PinOptions extends DownloadOptions {
  say(line: string): void;
}

/** Digests by file name, and the file that they were published in. */
export interface PublishedSums {
  readonly name: string;
  readonly digests: ReadonlyMap<string, Sha256>;
}

interface Publisher {
  readonly base: string;
  /** Variable of the environment that names mirrors: addresses or folders, parted by blanks. */
  readonly mirrors: string;
  /** Below the base, percent-encoded. */
  path(release: string, asset: string): string;
}

/** By the first word of a file's name in the lock, which is `PUBLISHER/RELEASE/ASSET`. */
const publishers: Readonly<Record<string, Publisher>> = {
  k3s: {
    base: 'https://github.com/k3s-io/k3s/releases/download',
    mirrors: 'EDGEKILN_K3S_MIRROR',
    path: (release, asset) => `${encodeURIComponent(release)}/${asset}`,
  },
  helm: {
    base: 'https://get.helm.sh',
    mirrors: 'EDGEKILN_HELM_MIRROR',
    path: (_release, asset) => asset,
  },
};

/** Lists and sums are a few kilobytes. */
const largestText = 1024 ** 2;

/** Where a file of the lock may be had: the mirrors that the environment names, else its publisher. */
export function urlsOf(name: string): string[] {
  const { publisher, release, asset } = split(name);
  const given = (process.env[publisher.mirrors] ?? '').split(/\s+/).filter((base) => base !== '');
  return (given.length === 0 ? [publisher.base] : given).map((base) => {
    const address = addressOf(base, publisher.mirrors);
    return `${address.replace(/\/+$/, '')}/${publisher.path(release, asset)}`;
  });
}

/** Of a mirror, which is an address or a folder. */
function addressOf(mirror: string, variable: string): string {
  if (!/^[a-z0-9+.-]+:\/\//i.test(mirror)) return pathToFileURL(mirror).href;
  if (/^(https?|file):/.test(mirror) && URL.canParse(mirror)) return mirror;
  throw new Failure('input', {
    what: `${variable} names a mirror that is none: ${mirror}`,
    fix: 'name addresses (http://…, https://…) or folders, parted by blanks',
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

/** The digests that a file of sums publishes. */
export async function publishedSums(name: string, options: PinOptions): Promise<Map<string, Sha256>> {
  options.say(`${name}: digests from ${new URL(urlsOf(name)[0] ?? '').host || 'a folder'}`);
  const none = (text: string) => (parseSums(text).size > 0 ? undefined : 'it gives no digests');
  return parseSums((await smallFile(name, options, none)).toString('utf8'));
}

/** Pins a file by the digest that `sums` publishes for it, and brings it into the store. */
export async function pinPublished(
  name: string,
  sums: PublishedSums,
  options: PinOptions,
): Promise<PinnedFile> {
  const { asset } = split(name);
  const sha256 = sums.digests.get(asset);
  if (sha256 === undefined) {
    throw new Failure('dependency', {
      what: `${asset} has no published digest`,
      where: sums.name,
      why: 'nothing is taken that its publisher does not name',
      fix: 'check the release in the profile and the mirror',
    });
  }
  const path = await download({ name, urls: urlsOf(name), sha256 }, options);
  return { name, size: (await stat(path)).size, sha256 };
}

/** A small file whose digest nobody knows yet, from the first mirror that has it. `wrong` says why a text cannot be it. */
export async function smallFile(
  name: string,
  { signal, offline }: DownloadOptions,
  wrong: (text: string) => string | undefined,
): Promise<Buffer> {
  const said: string[] = [];
  for (const url of offline ? [] : urlsOf(name)) {
    try {
      const bytes = await smallFileAt(new URL(url), signal);
      const why = wrong(bytes.toString('utf8'));
      if (why === undefined) return bytes;
      said.push(`${url}: ${why}`);
    } catch (error) {
      if (error instanceof Failure) throw error;
      if (signal?.aborted) {
        throw new Failure('interrupted', { what: `the download of ${name} was stopped` }, error);
      }
      said.push(`${url}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  const { publisher } = split(name);
  throw new Failure('dependency', {
    what: `${name} cannot be had`,
    why: offline ? 'this run is offline' : said.join('\n  '),
    fix: `check the release and the network; a mirror or folder laid out like the releases: ${publisher.mirrors}=…`,
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
  let over = false;
  request.on('downloadProgress', ({ transferred }) => {
    if (transferred <= largestText) return;
    over = true;
    request.cancel();
  });
  return request.buffer().catch((error: unknown) => {
    throw over ? new Error(`it sends more than ${largestText} bytes`) : error;
  });
}

function split(name: string): { publisher: Publisher; release: string; asset: string } {
  const [who = '', release = '', asset = ''] = name.split('/');
  const publisher = publishers[who];
  if (publisher === undefined) {
    throw new Failure('input', {
      what: `nobody is known who publishes ${name}`,
      fix: 'make the lock anew: edgekiln artifacts lock --update PROFILE',
    });
  }
  return { publisher, release, asset };
}
