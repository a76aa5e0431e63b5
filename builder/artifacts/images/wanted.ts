// Which images a site needs: k3s's own, less what the profile switches off, and those of manifests.
import { parseReference, printReference } from './reference.ts';

/** An image, and who asks for it. */
export interface WantedImage {
  /** Full name, or as it is written where it is none. */
  readonly name: string;
  /** As in `k3s v1.36.4+k3s1` or `app shop (web.yaml)`. */
  readonly by: string;
}

/** Add-ons of k3s, by the word that `disable` takes, and their repositories. Anything else in the list is always needed. */
const addons: Readonly<Record<string, readonly RegExp[]>> = {
  coredns: [/coredns-coredns$/],
  servicelb: [/klipper-lb$/],
  traefik: [/library-traefik$/, /klipper-helm$/], // installed by a Helm job
  'metrics-server': [/metrics-server$/],
  'local-storage': [/local-path-provisioner$/, /library-busybox$/],
};

/** The images of a list, one a line, that k3s needs with these add-ons disabled. */
export function imagesOfK3s(list: string, release: string, disabled: readonly string[]): WantedImage[] {
  const without = disabled.flatMap((addon) => addons[addon] ?? []);
  return list
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .filter((line) => !without.some((pattern) => pattern.test(parseReference(line)?.repository ?? line)))
    .map((line) => wanted(line, `k3s ${release}`));
}

/** Add-ons that options of k3s switch off: `disable` as a list or parted by commas. */
export function disabledAddons(config: Readonly<Record<string, unknown>>): string[] {
  const given = config['disable'];
  const values = Array.isArray(given) ? given : [given];
  return values
    .flatMap((value) => (typeof value === 'string' ? value.split(',') : []))
    .map((word) => word.trim());
}

/** The images of the containers in Kubernetes objects, wherever a pod is described in them. */
export function imagesOfObjects(objects: readonly unknown[], by: string): WantedImage[] {
  const names = new Set<string>();
  for (const object of objects) collect(object, names);
  return [...names].sort().map((name) => wanted(name, by));
}

const containerLists = ['containers', 'initContainers', 'ephemeralContainers'];

function collect(value: unknown, names: Set<string>): void {
  if (typeof value !== 'object' || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    if (containerLists.includes(key) && Array.isArray(inner)) {
      for (const { image } of inner.filter(isContainer)) names.add(image);
    }
    collect(inner, names);
  }
  // A volume may be an image as well (Kubernetes 1.31).
  if ('image' in value && isImageVolume(value.image)) names.add(value.image.reference);
}

function isContainer(value: unknown): value is { image: string } {
  return typeof value === 'object' && value !== null && 'image' in value && typeof value.image === 'string';
}

function isImageVolume(value: unknown): value is { reference: string } {
  return (
    typeof value === 'object' && value !== null && 'reference' in value && typeof value.reference === 'string'
  );
}

function wanted(text: string, by: string): WantedImage {
  const reference = parseReference(text);
  return { name: reference === undefined ? text : printReference(reference), by };
}
