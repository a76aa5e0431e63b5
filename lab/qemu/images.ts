// Which images the machines of a lab start from.
import { readdir, stat } from 'node:fs/promises';
import { basename, join, parse, resolve } from 'node:path';
import { Failure } from '../../formats/errors.ts';

export interface Chosen {
  readonly site: string;
  readonly machines: readonly { readonly name: string; readonly image: string }[];
  /** All machines start from one image, as boards of claimed enrolment do. */
  readonly shared: boolean;
}

/**
 * Machines for `count` images of a site's output folder, in the order of their names, or for one image file. A folder
 * with fewer images is an input failure, unless it holds exactly one: then all machines share it.
 */
export async function chooseImages(path: string, count?: number): Promise<Chosen> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) throw none(path, 'there is no such file or folder');
  const folder = found.isDirectory();
  const images = folder ? (await readdir(path)).filter((file) => file.endsWith('.img')).sort() : [''];
  const [first] = images;
  if (first === undefined) throw none(path, 'the folder holds no .img file');
  const site = basename(resolve(folder ? path : join(path, '..')));
  const wanted = count ?? images.length;
  const image = (file: string) => resolve(path, file);
  if (images.length === 1 && wanted > 1) {
    const machines = Array.from({ length: wanted }, (_, index) => ({
      name: `n${index + 1}`,
      image: image(first),
    }));
    return { site, machines, shared: true };
  }
  if (wanted > images.length) {
    throw none(path, `it holds ${images.length} images, but ${wanted} machines are asked for`);
  }
  const machines = images
    .slice(0, wanted)
    .map((file) => ({ name: parse(image(file)).name, image: image(file) }));
  return { site, machines, shared: false };
}

/** The output folder of the only site that was built. */
export async function onlySite(output: string): Promise<string> {
  const entries = await readdir(output, { withFileTypes: true }).catch(() => []);
  const sites = entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'));
  const [site] = sites;
  if (site === undefined) throw none(output, 'no site was built here');
  if (sites.length === 1) return join(output, site.name);
  throw new Failure('input', {
    what: `which site? ${output} holds ${sites.map((each) => each.name).join(', ')}`,
    fix: `edgekiln lab up ${join(output, site.name)}`,
  });
}

function none(where: string, why: string): Failure {
  return new Failure('input', { what: 'no images for a lab', where, why, fix: 'edgekiln build PROFILE' });
}
