// The kinds the stand-in's API knows, and what a path of it names.

interface Resource {
  readonly group: string;
  readonly version: string;
  readonly name: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

const lines = [
  'v1 namespaces:Namespace nodes:Node persistentvolumes:PersistentVolume',
  'v1 +secrets:Secret configmaps:ConfigMap services:Service serviceaccounts:ServiceAccount pods:Pod persistentvolumeclaims:PersistentVolumeClaim events:Event endpoints:Endpoints limitranges:LimitRange resourcequotas:ResourceQuota',
  'apps/v1 +deployments:Deployment daemonsets:DaemonSet statefulsets:StatefulSet replicasets:ReplicaSet',
  'batch/v1 +jobs:Job cronjobs:CronJob',
  'coordination.k8s.io/v1 +leases:Lease',
  'rbac.authorization.k8s.io/v1 clusterroles:ClusterRole clusterrolebindings:ClusterRoleBinding',
  'rbac.authorization.k8s.io/v1 +roles:Role rolebindings:RoleBinding',
  'networking.k8s.io/v1 +ingresses:Ingress networkpolicies:NetworkPolicy',
  'policy/v1 +poddisruptionbudgets:PodDisruptionBudget',
  'storage.k8s.io/v1 storageclasses:StorageClass',
  'apiextensions.k8s.io/v1 customresourcedefinitions:CustomResourceDefinition',
  'admissionregistration.k8s.io/v1 validatingadmissionpolicies:ValidatingAdmissionPolicy validatingadmissionpolicybindings:ValidatingAdmissionPolicyBinding',
];

const resources: readonly Resource[] = lines.flatMap((line) => {
  const [groupVersion = '', ...kinds] = line.split(' ');
  const [group = '', version = ''] = groupVersion.includes('/')
    ? groupVersion.split('/')
    : ['', groupVersion];
  const namespaced = line.includes('+');
  return kinds.map((text): Resource => {
    const [name = '', kind = ''] = text.replace('+', '').split(':');
    return { group, version, name, kind, namespaced };
  });
});

export interface Target {
  readonly resource: Resource;
  readonly namespace: string;
  /** Undefined: the whole list. */
  readonly name: string | undefined;
  readonly part: 'status' | undefined;
}

/** What a path of the API names; undefined where it is nothing the stand-in has. */
export function targetOf(path: string): Target | undefined {
  const parts = path
    .split('/')
    .filter((part) => part !== '')
    .map(decodeURIComponent);
  const core = parts[0] === 'api';
  if (!core && parts[0] !== 'apis') return undefined;
  const group = core ? '' : (parts[1] ?? '');
  const version = parts[core ? 1 : 2] ?? '';
  let rest = parts.slice(core ? 2 : 3);
  let namespace = '';
  if (rest[0] === 'namespaces' && rest.length > 2 && rest[2] !== 'status') {
    namespace = rest[1] ?? '';
    rest = rest.slice(2);
  }
  const [plural, name, part, ...more] = rest;
  const resource = resources.find(
    (one) => one.group === group && one.version === version && one.name === plural,
  );
  if (resource === undefined || more.length > 0 || (part !== undefined && part !== 'status'))
    return undefined;
  if (namespace !== '' && !resource.namespaced) return undefined;
  if (name !== undefined && resource.namespaced && namespace === '') return undefined;
  return { resource, namespace, name, part };
}

export function keyOf(target: Target, name: string): string {
  return `${target.resource.group}/${target.resource.name}/${target.namespace}/${name}`;
}

export function apiVersionOf({ group, version }: Resource): string {
  return group === '' ? version : `${group}/${version}`;
}

/** Discovery: what `/api`, `/api/v1`, `/apis` and `/apis/GROUP/VERSION` say; undefined for other paths. */
export function discovery(path: string) {
  const groups = [...new Set(resources.filter((one) => one.group !== '').map(({ group }) => group))];
  const groupOf = (name: string) => {
    const version = resources.find(({ group }) => group === name)?.version ?? 'v1';
    const preferredVersion = { groupVersion: `${name}/${version}`, version };
    return { name, versions: [preferredVersion], preferredVersion };
  };
  if (path === '/api') return { kind: 'APIVersions', versions: ['v1'] };
  if (path === '/apis') return { kind: 'APIGroupList', apiVersion: 'v1', groups: groups.map(groupOf) };
  const groupVersion = path === '/api/v1' ? 'v1' : (/^\/apis\/([^/]+\/[^/]+)$/.exec(path)?.[1] ?? '');
  const known = resources.filter((one) => apiVersionOf(one) === groupVersion);
  if (known.length === 0) return undefined;
  const verbs = ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'];
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion,
    resources: known.map(({ name, kind, namespaced }) => ({
      name,
      singularName: kind.toLowerCase(),
      namespaced,
      kind,
      verbs,
    })),
  };
}
