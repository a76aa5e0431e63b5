// Rendering a Helm chart while an image is built: the device receives objects only.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import type { KubernetesObject } from '../../../formats/app.ts';
import { Failure } from '../../../formats/errors.ts';
import { isRecord } from '../../../formats/json.ts';
import { runFile } from '../../../formats/programs.ts';
import { copyMember } from '../../tree/member.ts';
import { decompress } from '../compression.ts';
import { objectsOf } from './objects.ts';

export interface Chart {
  /** The release's name. */
  readonly app: string;
  readonly namespace: string;
  /** A folder or a .tgz. */
  readonly path: string;
  readonly values: Readonly<Record<string, unknown>>;
  /** A file of values; `values` come after it. */
  readonly valuesFrom: string | undefined;
  /** Such as 1.36.4: what the chart is told of the cluster. */
  readonly kubernetes: string | undefined;
}

/** helm unpacks to some 60 MB. Bytes. */
const largestHelm = 512 * 1024 ** 2;

/** Takes helm out of its release, into `folder`. */
export async function unpackHelm(
  release: string,
  size: number,
  folder: string,
  signal: AbortSignal,
): Promise<string> {
  const tar = join(folder, 'helm.tar');
  await decompress({ file: release, offset: 0, length: size }, tar, { limit: largestHelm, signal });
  const helm = join(folder, 'helm');
  await copyMember(tar, /^[^/]+\/helm$/, helm);
  await rm(tar);
  return helm;
}

/** Hooks of an installation are objects like others: what they do is done once. The rest is for events that never come. */
const kept = ['pre-install', 'post-install', 'crd-install'];

/**
 * The objects of a chart. It is rendered twice, with a second between: one that does not give the same both times (it
 * draws passwords, or looks at the clock) is refused, because every build would give another image. `left` is told of
 * hooks that are left out.
 */
export async function renderChart(
  helm: string,
  chart: Chart,
  options: { readonly signal: AbortSignal; left(hook: string): void },
): Promise<KubernetesObject[]> {
  const scratch = await mkdtemp(join(tmpdir(), 'edgekiln-chart-'));
  try {
    const values = join(scratch, 'values.yaml');
    await writeFile(values, stringify(chart.values), { mode: 0o600 });
    const once = (): Promise<string> => template(helm, chart, { values, scratch, signal: options.signal });
    const text = await once();
    await sleep(1000, undefined, { signal: options.signal }).catch(() => {});
    const again = await once();
    if (again !== text) throw notTheSame(chart, text, again);
    return objectsOf(text, `chart of app ${chart.app}`).flatMap((object) => {
      const hooks = hooksOf(object);
      if (hooks.length === 0 || hooks.some((hook) => kept.includes(hook))) return [object];
      if (!hooks.includes('test') && !hooks.includes('test-success'))
        options.left(`${object.kind} ${object.metadata.name} (${hooks.join(', ')})`);
      return [];
    });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function template(
  helm: string,
  chart: Chart,
  { values, scratch, signal }: { values: string; scratch: string; signal: AbortSignal },
): Promise<string> {
  const { app, namespace, path, valuesFrom, kubernetes } = chart;
  const args = ['template', app, path, '--namespace', namespace, '--include-crds'];
  if (kubernetes !== undefined) args.push('--kube-version', kubernetes);
  for (const file of valuesFrom === undefined ? [values] : [valuesFrom, values]) args.push('--values', file);
  // Nothing of this machine reaches a chart: no plugin, no repository, no cluster.
  const env = {
    HOME: scratch,
    TZ: 'UTC',
    KUBECONFIG: join(scratch, 'none'),
    HELM_CACHE_HOME: join(scratch, 'cache'),
    HELM_CONFIG_HOME: join(scratch, 'config'),
    HELM_DATA_HOME: join(scratch, 'data'),
  };
  try {
    return (await runFile(helm, args, { env, extendEnv: false, cancelSignal: signal })).stdout;
  } catch (error) {
    if (!(error instanceof Failure) || error.kind !== 'environment') throw error;
    const why = error.problems[0]?.why?.replaceAll(`${dirname(helm)}/`, '');
    throw new Failure(
      'input',
      {
        what: `the chart of app ${app} cannot be rendered`,
        where: path,
        ...(why === undefined ? {} : { why }),
        fix: 'correct the chart or its values: helm template with the same values says the same',
      },
      error,
    );
  }
}

function hooksOf({ metadata }: KubernetesObject): string[] {
  const { annotations } = metadata;
  const hook = isRecord(annotations) ? annotations['helm.sh/hook'] : undefined;
  return typeof hook === 'string' ? hook.split(',').map((word) => word.trim()) : [];
}

function notTheSame({ app, path }: Chart, text: string, again: string): Failure {
  const other = again.split('\n');
  // The key alone: what differs may be a password.
  const line = text.split('\n').find((each, index) => each !== other[index]) ?? '';
  const key = /^[\s-]*([^\s:]+):/.exec(line)?.[1];
  return new Failure('input', {
    what: `the chart of app ${app} renders to something else each time`,
    where: path,
    why: `it draws at random or looks at the clock${key === undefined ? '' : `, for ${key}`}: every build would be another`,
    fix: 'give the value it makes up in `values`',
  });
}
