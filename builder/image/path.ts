// Paths in the filesystems of an image.
import type { Ext4Reader } from '../disk/ext4/read.ts';
import type { FatReader } from '../disk/fat/read.ts';

/** As Linux counts. */
const mostLinks = 40;

/** Where a path leads when all links in it are followed, as it is written in the filesystem; undefined where to nothing. */
export function realPath(reader: Pick<Ext4Reader | FatReader, 'stat'>, path: string): string | undefined {
  const left = path.split('/');
  let at: string[] = [];
  for (let links = 0; left.length > 0; ) {
    const name = left.shift() ?? '';
    if (name === '..') at.pop();
    if (name === '' || name === '.' || name === '..') continue;
    const found = reader.stat([...at, name].join('/'));
    if (found === undefined || links > mostLinks) return undefined;
    if (found.kind === 'symlink') {
      links++;
      if (found.target.startsWith('/')) at = [];
      left.unshift(...found.target.split('/'));
    } else at.push(found.path.split('/').at(-1) ?? name);
  }
  return at.join('/');
}
