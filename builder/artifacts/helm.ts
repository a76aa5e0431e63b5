// The program that renders charts while an image is built. It runs on the build machine and is in no image.
import type { PinnedFile } from './lock.ts';
import { type PinOptions, pinPublished, publishedSums } from './published.ts';

const release = 'v3.18.4';

/** Names in the lock, for each kind of build machine by Node's word for it. */
export const helmFiles: Readonly<Record<'x64' | 'arm64', string>> = {
  x64: `helm/${release}/helm-${release}-linux-amd64.tar.gz`,
  arm64: `helm/${release}/helm-${release}-linux-arm64.tar.gz`,
};

/** Pins helm for every kind of build machine, so that a lock fits all of them. */
export async function pinHelm(options: PinOptions): Promise<PinnedFile[]> {
  const pins: PinnedFile[] = [];
  for (const name of Object.values(helmFiles)) {
    const sumsName = `${name}.sha256sum`;
    const sums = { name: sumsName, digests: await publishedSums(sumsName, options) };
    pins.push(await pinPublished(name, sums, options));
  }
  return pins;
}
