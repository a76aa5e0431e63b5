// The apps of a site: manifests read, charts rendered, one file an app for the device.
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { type KubernetesObject, renderApp } from '../../formats/app.ts';
import { Failure } from '../../formats/errors.ts';
import { renderChart, unpackHelm } from '../artifacts/apps/chart.ts';
import { inOrder, objectsOf } from '../artifacts/apps/objects.ts';
import type { Stage, Workshop } from '../pipeline/stage.ts';

const input = z.string().describe('name of an input');
const schema = z.strictObject({
  /** Version of Kubernetes that charts are told, such as 1.36.4. */
  kubernetes: z.string().optional(),
  apps: z.array(
    z.strictObject({
      name: z.string(),
      namespace: z.string(),
      source: z.discriminatedUnion('kind', [
        /** `shown` is what people call a file. */
        z.strictObject({
          kind: z.literal('manifests'),
          files: z.array(z.strictObject({ input, shown: z.string() })),
        }),
        z.strictObject({
          kind: z.literal('chart'),
          chart: input,
          values: z.record(z.string(), z.unknown()),
          valuesFrom: input.optional(),
        }),
      ]),
    }),
  ),
});

type AppsOptions = z.output<typeof schema>;
type AppOptions = AppsOptions['apps'][number];

/** `NAME.json` for each app, see formats/app.ts. The input `helm` is there where an app is a chart. */
export const apps: Stage<AppsOptions, Readonly<Record<string, string>>> = {
  name: 'apps',
  summary: 'reads the manifests of apps and renders their charts',
  version: 1,
  schema,
  async run(options, inputs, workshop) {
    const folder = await mkdtemp(join(tmpdir(), 'edgekiln-helm-'));
    try {
      const helm = options.apps.some(({ source }) => source.kind === 'chart')
        ? await helmFrom(named(inputs, 'helm'), folder, workshop)
        : undefined;
      for (const [index, app] of options.apps.entries()) {
        workshop.progress(index, options.apps.length);
        const objects = inOrder(await objectsOfApp(app, { options, inputs, helm, workshop }));
        const { name, namespace } = app;
        await writeFile(
          join(workshop.result, `${name}.json`),
          renderApp({ version: 1, name, namespace, objects }),
          // Manifests may hold secrets.
          { mode: 0o600 },
        );
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};

interface Rendering {
  readonly options: AppsOptions;
  readonly inputs: Readonly<Record<string, string>>;
  readonly helm: string | undefined;
  readonly workshop: Workshop;
}

async function objectsOfApp(
  { name, namespace, source }: AppOptions,
  { options, inputs, helm, workshop }: Rendering,
): Promise<KubernetesObject[]> {
  if (source.kind === 'manifests') {
    const objects: KubernetesObject[] = [];
    for (const { input: from, shown } of source.files)
      objects.push(...objectsOf(textOf(await readFile(named(inputs, from)), shown), shown));
    return objects;
  }
  if (helm === undefined) throw new Error('a chart is to be rendered without helm');
  const { chart, values, valuesFrom } = source;
  return renderChart(
    helm,
    {
      app: name,
      namespace,
      path: named(inputs, chart),
      values,
      valuesFrom: valuesFrom === undefined ? undefined : named(inputs, valuesFrom),
      kubernetes: options.kubernetes,
    },
    {
      signal: workshop.signal,
      left: (hook) => workshop.say(`app ${name}: the hook ${hook} of its chart is left out`),
    },
  );
}

function textOf(bytes: Uint8Array, where: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new Failure('input', { what: 'this is not UTF-8', where, fix: 'save it as UTF-8' }, error);
  }
}

async function helmFrom(release: string, folder: string, { signal }: Workshop): Promise<string> {
  return unpackHelm(release, (await stat(release)).size, folder, signal);
}

function named(inputs: Readonly<Record<string, string>>, name: string): string {
  const path = inputs[name];
  if (path === undefined) throw new Error(`there is no input ${name}`);
  return path;
}
