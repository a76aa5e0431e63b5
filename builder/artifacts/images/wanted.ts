// Which images a site needs: k3s's own, less what the profile switches off, and those of manifests.
import { k3sDefaults } from '../../../formats/agentconfig.ts';
import { parseReference, printReference } from './reference.ts';

/** An image, and who asks for it. */
export interface WantedImage {
  /** Full name, or as it is written where it is none. */
  readonly name: string;
  /** As in `k3s v1.36.4+k3s1` or `app shop (web.yaml)`. */
  readonly by: string;
}

/** Add-ons of k3s, by the word that `disable` takes (helm-controller has an option of its own), and their repositories. Anything else in the list is always needed. */
const addons: Readonly<Record<string, readonly RegExp[]>> = {
  coredns: [/coredns-coredns$/],
  servicelb: [/klipper-lb$/],
  traefik: [/library-traefik$/],
  'helm-controller': [/klipper-helm$/],
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

/** Add-ons that are switched off by options of k3s, or by their defaults: `disable` is a list or parted by commas. */
export function disabledAddons(config: Readonly<Record<string, unknown>>): string[] {
  const { disable, 'disable-helm-controller': noHelm } = { ...k3sDefaults, ...config };
  const words = (Array.isArray(disable) ? disable : [disable])
    .flatMap((value) => (typeof value === 'string' ? value.split(',') : []))
    .map((word) => word.trim());
  return String(noHelm) === 'true' ? [...words, 'helm-controller'] : words;
}

/** The images that options of k3s name. */
export function imagesOfOptions(config: Readonly<Record<string, unknown>>): WantedImage[] {
  return ['pause-image', 'helm-job-image'].flatMap((option) => {
    const value = config[option];
    return typeof value === 'string' ? [wanted(value, `k3s.config.${option}`)] : [];
  });
}

/** The images that an app names by itself. */
export function imagesByName(names: readonly string[], by: string): WantedImage[] {
  return names.map((name) => wanted(name, by));
}

/** The images of the containers in Kubernetes objects, wherever a pod is described in them. */
export function imagesOfObjects(objects: readonly unknown[], by: string): WantedImage[] {
  const names = new Set<string>();
  for (const object of objects) collect(object, names);
  return [...names].sort().map((name) => wanted(name, by));
}

/**
 * Images that a kubelet asks a registry for at every start of a container, though it has them: those with the policy
 * Always, which is also that of the tag `latest` where none is written.
 */
export function pulledAlways(objects: readonly unknown[]): string[] {
  const names = new Set<string>();
  for (const object of objects) {
    visitContainers(object, ({ image, imagePullPolicy }) => {
      const reference = parseReference(image);
      const latest = reference?.tag === 'latest' && reference.digest === undefined;
      if (imagePullPolicy === 'Always' || (imagePullPolicy === undefined && latest)) names.add(image);
    });
  }
  return [...names].sort();
}

const containerLists = ['containers', 'initContainers', 'ephemeralContainers'];

function collect(value: unknown, names: Set<string>): void {
  visitContainers(value, ({ image }) => names.add(image));
  visit(value, (map) => {
    // A volume may be an image as well (Kubernetes 1.31).
    if ('image' in map && isImageVolume(map.image)) names.add(map.image.reference);
  });
}

/** Goes through all maps and lists of a value. */
function visit(value: unknown, see: (map: object) => void): void {
  if (typeof value !== 'object' || value === null) return;
  see(value);
  for (const inner of Object.values(value)) visit(inner, see);
}

interface Container {
  readonly image: string;
  readonly imagePullPolicy?: unknown;
}

function visitContainers(value: unknown, see: (container: Container) => void): void {
  visit(value, (map) => {
    for (const [key, inner] of Object.entries(map)) {
      if (containerLists.includes(key) && Array.isArray(inner)) inner.filter(isContainer).forEach(see);
    }
  });
}

function isContainer(value: unknown): value is Container {
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
