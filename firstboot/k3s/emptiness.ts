// Whether a person has put anything into a cluster. Pure: over the metadata of its objects.
import { isRecord } from '../../formats/json.ts';

export type ApiObject = Readonly<Record<string, unknown>>;

/** What the programs of k3s and we call ourselves in `managedFields`; a person's tool has another name. */
const machines =
  /^(k3s.*|deploy@.*|kube-.*|kubelet|coredns.*|flannel.*|helm-controller.*|edgekiln|cloud-controller.*|metrics-server|edgekiln-.*)$/;
const systemNamespaces = new Set(['kube-system', 'kube-public', 'kube-node-lease']);
/** The label of everything the site's apps brought; its value is the app's name. */
export const appLabel = 'edgekiln.io/app';

/** Lists that are looked at; a namespaced one over all namespaces. */
export const watchedLists = [
  '/api/v1/namespaces',
  '/api/v1/persistentvolumes',
  '/api/v1/persistentvolumeclaims',
  '/api/v1/pods',
  '/api/v1/services',
  '/api/v1/configmaps',
  '/api/v1/secrets',
  '/apis/apps/v1/deployments',
  '/apis/apps/v1/daemonsets',
  '/apis/apps/v1/statefulsets',
  '/apis/batch/v1/jobs',
  '/apis/batch/v1/cronjobs',
] as const;

/** The first thing that a person put there or that may hold something of theirs, in words; undefined when all is the system's. */
export function personsObject(path: string, objects: readonly ApiObject[]): string | undefined {
  const kind = path.slice(path.lastIndexOf('/') + 1);
  for (const object of objects) {
    const metadata = recordOf(object['metadata']);
    const spec = recordOf(object['spec']);
    const name = `${kind} ${String(metadata['namespace'] ?? '')}/${String(metadata['name'])}`;
    if (kind === 'persistentvolumes' && spec['claimRef'] !== undefined) return `${name} was bound`;
    if (kind === 'persistentvolumeclaims') return `${name} asks for a volume`;
    if (kind === 'pods' && writesHostPath(metadata, spec)) return `${name} writes to a path of its node`;
    // The tokens of agents are made by a program of k3s, at our word.
    if (object['type'] === 'bootstrap.kubernetes.io/token') continue;
    if (isForeign(kind, metadata)) return name;
  }
  return undefined;
}

function isForeign(kind: string, metadata: ApiObject): boolean {
  const labels = recordOf(metadata['labels']);
  if (labels[appLabel] !== undefined) return false;
  const fields = metadata['managedFields'];
  const managers = Array.isArray(fields) ? fields.map((one) => recordOf(one)['manager']) : [];
  if (managers.length > 0) return managers.some((one) => typeof one !== 'string' || !machines.test(one));
  const space = kind === 'namespaces' ? metadata['name'] : metadata['namespace'];
  if (typeof space !== 'string') return false;
  const known = systemNamespaces.has(space);
  return kind === 'namespaces' ? !known && space !== 'default' : !known && !isDefaults(kind, metadata);
}

/** Kubernetes' own in the namespace `default`. */
function isDefaults(kind: string, { namespace, name }: ApiObject): boolean {
  if (kind === 'configmaps') return name === 'kube-root-ca.crt';
  return namespace === 'default' && kind === 'services' && name === 'kubernetes';
}

function writesHostPath(metadata: ApiObject, spec: ApiObject): boolean {
  if (systemNamespaces.has(String(metadata['namespace']))) return false;
  const volumes = Array.isArray(spec['volumes']) ? spec['volumes'].filter(isRecord) : [];
  return volumes.some((volume) => volume['hostPath'] !== undefined);
}

const recordOf = (value: unknown): ApiObject => (isRecord(value) ? value : {});
