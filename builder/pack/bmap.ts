// Block maps: which blocks of an image carry data, with a digest of each run. Source of the format: bmap-tools, version
// 2.0 of its XML; https://github.com/yoctoproject/bmaptool (docs of `BmapCreate`).
import { createHash } from 'node:crypto';
import type { Range } from '../disk/volume.ts';

/** Bytes of a block. */
export const blockSize = 4096;

export interface BlockMap {
  /** Bytes of the image, a multiple of a block. */
  readonly size: number;
  readonly runs: readonly Run[];
}

/** A run of blocks that carry data: bytes from `start` to `end` (exclusive), and their SHA-256 in hex. */
export interface Run extends Range {
  readonly sha256: string;
}

/** Ranges in whole blocks: outwards to the next block, and those that then touch made one. */
export function blockRanges(ranges: readonly Range[]): Range[] {
  const runs: Range[] = [];
  for (const range of ranges) {
    const start = Math.floor(range.start / blockSize) * blockSize;
    const end = Math.ceil(range.end / blockSize) * blockSize;
    const last = runs.at(-1);
    if (last !== undefined && start <= last.end)
      runs[runs.length - 1] = { start: last.start, end: Math.max(end, last.end) };
    else runs.push({ start, end });
  }
  return runs;
}

/** Where the digest of the whole file stands; it is made with zeros in this place. */
const unset = '0'.repeat(64);

/** The block map as XML. */
export function renderBlockMap({ size, runs }: BlockMap): string {
  if (size % blockSize !== 0) throw new Error(`an image of ${size} bytes does not end at a block`);
  const mapped = runs.reduce((sum, { start, end }) => sum + end - start, 0) / blockSize;
  const lines = runs.map(({ start, end, sha256 }) => {
    const [first, last] = [start / blockSize, end / blockSize - 1];
    return `        <Range chksum="${sha256}">${first === last ? first : `${first}-${last}`}</Range>`;
  });
  const text = `<?xml version="1.0" ?>
<!-- The blocks of an image that carry data; no other block has to be written. Version 2.0 of the format of bmap-tools. -->
<bmap version="2.0">
    <ImageSize>${size}</ImageSize>
    <BlockSize>${blockSize}</BlockSize>
    <BlocksCount>${size / blockSize}</BlocksCount>
    <MappedBlocksCount>${mapped}</MappedBlocksCount>
    <ChecksumType>sha256</ChecksumType>
    <BmapFileChecksum>${unset}</BmapFileChecksum>
    <BlockMap>
${lines.join('\n')}
    </BlockMap>
</bmap>
`;
  return text.replace(unset, digest(text));
}

/** A block map that `renderBlockMap` wrote, or why it is not one. */
export function parseBlockMap(text: string): BlockMap | string {
  const field = (name: string): string | undefined =>
    new RegExp(`<${name}>\\s*([^<]*?)\\s*</${name}>`).exec(text)?.[1];
  const said = field('BmapFileChecksum');
  const size = Number(field('ImageSize'));
  if (!text.includes('<bmap version="2.0">') || said === undefined)
    return 'it is not a block map of version 2.0';
  if (digest(text.replace(said, unset)) !== said) return 'its own digest does not match';
  if (field('BlockSize') !== String(blockSize) || field('ChecksumType') !== 'sha256')
    return `its blocks are not of ${blockSize} bytes with SHA-256`;
  const runs = [...text.matchAll(/<Range chksum="([0-9a-f]{64})">\s*(\d+)(?:-(\d+))?\s*<\/Range>/g)].map(
    ([, sha256 = '', first = '', last = first]) => {
      return { start: Number(first) * blockSize, end: (Number(last) + 1) * blockSize, sha256 };
    },
  );
  return { size, runs };
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
