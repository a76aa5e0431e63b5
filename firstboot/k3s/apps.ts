// The site's apps: the slot holds one file of objects an app (formats/app.ts); they are applied server-side, as one
// field manager, and what an app no longer has is deleted where it still carries our label. What was applied is kept
// in the cluster beside the digest of the file, so that nothing is done where nothing changed.
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type KubernetesObject, parseApp, type SiteApp } from '../../formats/app.ts';
import { isRecord, parseJson } from '../../formats/json.ts';
import { type Api, ApiError } from './api.ts';
import { appLabel } from './emptiness.ts';

const inventories = '/api/v1/namespaces/kube-system/configmaps';
const prefix = 'edgekiln-app-';
const manager = 'fieldManager=edgekiln&force=true';

/** Where an object is: its resource's name, and whether it lives in a namespace. */
interface Resource {
  readonly name: string;
  readonly namespaced: boolean;
}

/** Fields and kinds by which an app may leave something on a disk that nobody else has. */
const volumes = /"(hostPath|persistentVolumeClaim|volumeClaimTemplates)":|"kind":"PersistentVolumeClaim"/;

/**
 * Makes the cluster's apps those of the folder. Without `mayKeepData`, apps with volumes wait: what they wrote would
 * be in the way of giving up this cluster for another one. Gives the names of those that wait; fails with the first
 * that cannot be applied, after trying all.
 */
export async function applyApps(api: Api, folder: string, mayKeepData: boolean): Promise<readonly string[]> {
  const known = new Map<string, ReadonlyMap<string, Resource>>();
  const kept = await keptInventories(api);
  const names = (await readdir(folder).catch((): string[] => [])).filter((name) => name.endsWith('.json'));
  const failures: unknown[] = [];
  const waiting: string[] = [];
  const attempt = (work: Promise<void>): Promise<void> =>
    work.catch((error: unknown) => void failures.push(error));
  for (const file of names.sort()) {
    const text = await readFile(join(folder, file), 'utf8');
    const app = parseApp(text, join(folder, file));
    const digest = createHash('sha256').update(text).digest('hex');
    const before = kept.get(app.name);
    kept.delete(app.name);
    if (before === undefined && !mayKeepData && volumes.test(JSON.stringify(app.objects)))
      waiting.push(app.name);
    else if (before?.digest !== digest) await attempt(applyApp(api, app, digest, before?.paths ?? [], known));
  }
  // What is left in the cluster has no file any more.
  for (const [name, { paths }] of kept) {
    await attempt(
      prune(api, name, paths).then(async () => {
        await api.ask('DELETE', `${inventories}/${prefix}${name}`);
      }),
    );
  }
  if (failures.length > 0) throw failures[0];
  return waiting;
}

async function applyApp(
  api: Api,
  app: SiteApp,
  digest: string,
  before: readonly string[],
  known: Map<string, ReadonlyMap<string, Resource>>,
): Promise<void> {
  const paths: string[] = [];
  for (const object of app.objects) {
    const { path, body } = await placed(api, app, object, known);
    await api.object('PATCH', `${path}?${manager}`, body, 'application/apply-patch+yaml');
    paths.push(path);
  }
  await prune(
    api,
    app.name,
    before.filter((path) => !paths.includes(path)),
  );
  const inventory = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: `${prefix}${app.name}`, namespace: 'kube-system', labels: { [appLabel]: app.name } },
    data: { digest, paths: JSON.stringify(paths) },
  };
  const path = `${inventories}/${prefix}${app.name}?${manager}`;
  await api.object('PATCH', path, inventory, 'application/apply-patch+yaml');
  console.log(`k3s: applied the app ${app.name}: ${paths.length} objects`);
}

/** Deletes what the app applied before, unless somebody took our label from it. Last made, first deleted. */
async function prune(api: Api, app: string, paths: readonly string[]): Promise<void> {
  for (const path of [...paths].reverse()) {
    const found = await api.ask('GET', path);
    if (found.status === 404 || !isRecord(found.body)) continue;
    const metadata = isRecord(found.body['metadata']) ? found.body['metadata'] : {};
    const labels = isRecord(metadata['labels']) ? metadata['labels'] : {};
    if (labels[appLabel] !== app) continue;
    const preconditions = { uid: metadata['uid'] };
    const body = { kind: 'DeleteOptions', apiVersion: 'v1', preconditions, propagationPolicy: 'Background' };
    const answer = await api.ask('DELETE', path, body);
    if (answer.status >= 300 && answer.status !== 404) throw new ApiError(`DELETE ${path}`, answer);
  }
}

/** The object with its namespace and our label, and its path in the API. */
async function placed(
  api: Api,
  app: SiteApp,
  object: KubernetesObject,
  known: Map<string, ReadonlyMap<string, Resource>>,
): Promise<{ path: string; body: object }> {
  const { apiVersion, kind, metadata } = object;
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  let resource = known.get(root)?.get(kind);
  if (resource === undefined) {
    // A kind of a CRD that was applied just now is there only after a while: it is looked for anew each time.
    const resources = await resourcesOf(api, root);
    known.set(root, resources);
    resource = resources.get(kind);
  }
  if (resource === undefined)
    throw new Error(`the cluster does not know ${kind} of ${apiVersion} (app ${app.name})`);
  const namespace = typeof metadata['namespace'] === 'string' ? metadata['namespace'] : app.namespace;
  const labels = isRecord(metadata['labels']) ? metadata['labels'] : {};
  return {
    path: `${root}/${resource.namespaced ? `namespaces/${namespace}/` : ''}${resource.name}/${metadata.name}`,
    body: {
      ...object,
      metadata: {
        ...metadata,
        ...(resource.namespaced ? { namespace } : {}),
        labels: { ...labels, [appLabel]: app.name },
      },
    },
  };
}

async function resourcesOf(api: Api, root: string): Promise<ReadonlyMap<string, Resource>> {
  const answer = await api.ask('GET', root);
  if (answer.status === 404) return new Map();
  if (answer.status !== 200 || !isRecord(answer.body)) throw new ApiError(`GET ${root}`, answer);
  const list = Array.isArray(answer.body['resources']) ? answer.body['resources'].filter(isRecord) : [];
  return new Map(
    list
      .filter(({ name }) => typeof name === 'string' && !name.includes('/'))
      .map(({ kind, name, namespaced }) => [
        String(kind),
        { name: String(name), namespaced: namespaced === true },
      ]),
  );
}

async function keptInventories(
  api: Api,
): Promise<Map<string, { readonly digest: string; readonly paths: readonly string[] }>> {
  const found = await api.list(`${inventories}?labelSelector=${encodeURIComponent(appLabel)}`);
  return new Map(
    found.flatMap(({ metadata, data }) => {
      if (!isRecord(metadata) || !isRecord(data)) return [];
      const name = String(metadata['name']);
      if (!name.startsWith(prefix)) return [];
      const paths = parseJson(String(data['paths']));
      const list = Array.isArray(paths) ? paths.filter((one) => typeof one === 'string') : [];
      return [[name.slice(prefix.length), { digest: String(data['digest']), paths: list }] as const];
    }),
  );
}
