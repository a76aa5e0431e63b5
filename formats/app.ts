// An app of a site as its images carry it: one JSON file, so that a device needs neither YAML nor Helm. The builder
// writes it into the slot; the reconciler applies its objects in this order.
import { Failure } from './errors.ts';
import { isRecord, parseJson } from './json.ts';

/** The folder of the apps on a device: `NAME.json` each. */
export const appsFolder = '/usr/lib/edgekiln/apps';

/** An object of Kubernetes; what is in it besides is the API server's to judge. */
export type KubernetesObject = Readonly<Record<string, unknown>> & {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Readonly<Record<string, unknown>> & { readonly name: string };
};

export interface SiteApp {
  readonly version: 1;
  readonly name: string;
  /** Where objects live that are namespaced and name none. */
  readonly namespace: string;
  /** In the order in which they are applied. */
  readonly objects: readonly KubernetesObject[];
}

export function isKubernetesObject(value: unknown): value is KubernetesObject {
  if (!isRecord(value)) return false;
  const { apiVersion, kind, metadata } = value;
  return isWord(apiVersion) && isWord(kind) && isRecord(metadata) && isWord(metadata['name']);
}

const isWord = (value: unknown): value is string => typeof value === 'string' && value !== '';

export function renderApp(app: SiteApp): string {
  return `${JSON.stringify(app, null, 1)}\n`;
}

/** Reads the file of an app; an `input` failure says what is wrong. */
export function parseApp(text: string, file: string): SiteApp {
  const wrong = (why: string): Failure =>
    new Failure('input', {
      what: 'an app of the image cannot be used',
      where: file,
      why,
      fix: 'it is part of the image: build it again',
    });
  const value = parseJson(text);
  if (!isRecord(value)) throw wrong('it is not a JSON object');
  const { version, name, namespace, objects } = value;
  if (version !== 1) throw wrong(`its version is ${JSON.stringify(version)}, this agent knows 1`);
  if (!isWord(name) || !isWord(namespace)) throw wrong('name or namespace is missing');
  if (!Array.isArray(objects) || !objects.every(isKubernetesObject))
    throw wrong('objects is not a list of objects with apiVersion, kind and metadata.name');
  return { version, name, namespace, objects };
}
