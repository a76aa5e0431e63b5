// What people in the shop open to reach an app: ports of boards on the LAN, as the image's own apps ask for them.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type KubernetesObject, parseApp, type SiteApp } from '../../formats/app.ts';
import { isRecord } from '../../formats/json.ts';

export interface Opening {
  readonly app: string;
  readonly port: number;
  readonly protocol: string;
  /** `every` board answers there (NodePort), or only one that runs a part of the app (hostPort). */
  readonly board: 'every' | 'its own';
}

/** Of the apps in a folder. One that cannot be read is the reconciler's to complain about. */
export async function openingsIn(folder: string): Promise<readonly Opening[]> {
  const names = (await readdir(folder).catch((): string[] => [])).filter((name) => name.endsWith('.json'));
  const lists = await Promise.all(
    names.sort().map(async (name) => {
      const file = join(folder, name);
      try {
        return openingsOf(parseApp(await readFile(file, 'utf8'), file));
      } catch {
        return [];
      }
    }),
  );
  return lists.flat();
}

/** In the order of the app's objects, each port once. A NodePort that the cluster chooses is in no image. */
export function openingsOf({ name, objects }: Pick<SiteApp, 'name' | 'objects'>): readonly Opening[] {
  const found = objects.flatMap((object) => [
    ...portsOf(object.kind === 'Service' ? object['spec'] : undefined, 'nodePort', 'every'),
    ...records(podOf(object)?.['containers']).flatMap((container) =>
      portsOf(container, 'hostPort', 'its own'),
    ),
  ]);
  const key = ({ port, protocol }: Omit<Opening, 'app'>): string => `${port} ${protocol}`;
  return [...new Map(found.map((one) => [key(one), { app: name, ...one }])).values()];
}

function portsOf(
  owner: unknown,
  field: 'nodePort' | 'hostPort',
  board: Opening['board'],
): Omit<Opening, 'app'>[] {
  return records(isRecord(owner) ? owner['ports'] : undefined).flatMap((entry) => {
    const port = entry[field];
    const { protocol = 'TCP' } = entry;
    return typeof port === 'number' ? [{ port, protocol: String(protocol), board }] : [];
  });
}

/** The pod of a Pod, or of whatever makes pods from a template. */
function podOf({ kind, spec }: KubernetesObject): Readonly<Record<string, unknown>> | undefined {
  if (!isRecord(spec)) return undefined;
  if (kind === 'Pod') return spec;
  const { template, jobTemplate } = spec;
  if (isRecord(template) && isRecord(template['spec'])) return template['spec'];
  const job = isRecord(jobTemplate) ? jobTemplate['spec'] : undefined;
  const inner = isRecord(job) ? job['template'] : undefined;
  return isRecord(inner) && isRecord(inner['spec']) ? inner['spec'] : undefined;
}

function records(value: unknown): readonly Readonly<Record<string, unknown>>[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}
