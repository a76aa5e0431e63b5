// The apps of a build: what the stage is given, and what it made.
import { readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { parseApp, type SiteApp } from '../../formats/app.ts';
import { Failure } from '../../formats/errors.ts';
import { helmFiles } from '../artifacts/helm.ts';
import type { Lock } from '../artifacts/lock.ts';
import { digestOf, type Store } from '../artifacts/store.ts';
import type { App, Profile } from '../profile/profile.ts';
import { apps } from '../stages/apps.ts';
import { digestOfOverlay, linksIn } from '../tree/overlay.ts';
import type { Input, Runner } from './runner.ts';

interface AppSources {
  readonly profile: Profile;
  readonly lock: Lock;
  readonly store: Store;
}

/** Where the apps of a site are, as the stage left them. */
export async function siteApps(sources: AppSources, runner: Runner): Promise<Input> {
  const { profile } = sources;
  const inputs: Record<string, Input> = {};
  const give = async (name: string, path: string, what: string): Promise<string> => {
    inputs[name] = { path, digest: await digestOfPath(path, what) };
    return name;
  };
  const described = [];
  for (const { name, namespace, source } of profile.apps) {
    described.push({ name, namespace, source: await sourceOf(name, source, give) });
  }
  if (profile.apps.some(({ source }) => source.kind === 'chart')) inputs['helm'] = await pinnedHelm(sources);
  const kubernetes = profile.k3s.kind === 'release' ? /^v([\d.]+)/.exec(profile.k3s.release)?.[1] : undefined;
  return runner.run(apps, { apps: described, ...(kubernetes === undefined ? {} : { kubernetes }) }, inputs);
}

/** The apps in the result of the stage. */
export async function readApps(folder: string, profile: Profile): Promise<SiteApp[]> {
  return Promise.all(
    profile.apps.map(async ({ name }) => {
      const file = join(folder, `${name}.json`);
      return parseApp(await readFile(file, 'utf8'), file);
    }),
  );
}

async function sourceOf(
  app: string,
  source: App['source'],
  give: (name: string, path: string, what: string) => Promise<string>,
) {
  if (source.kind === 'manifests') {
    const files = [];
    for (const [index, path] of source.paths.entries()) {
      const input = await give(`${app} manifest ${index + 1}`, path, `a manifest of app ${app}`);
      files.push({ input, shown: basename(path) });
    }
    return { kind: source.kind, files };
  }
  const { path, values, valuesFrom } = source;
  return {
    kind: source.kind,
    chart: await give(`${app} chart`, path, `the chart of app ${app}`),
    values: { ...values },
    ...(valuesFrom === undefined
      ? {}
      : { valuesFrom: await give(`${app} values`, valuesFrom, `the values of app ${app}`) }),
  };
}

async function digestOfPath(path: string, what: string): Promise<string> {
  try {
    if (!(await stat(path)).isDirectory()) return (await digestOf(path)).sha256;
    const [link] = await linksIn(path);
    if (link === undefined) return await digestOfOverlay(path);
    throw new Failure('input', {
      what: `${what} holds a link`,
      where: join(path, link),
      why: 'helm would render what it leads to, which is no part of the chart',
      fix: 'put the file itself there',
    });
  } catch (error) {
    if (error instanceof Failure) throw error;
    const why = error instanceof Error ? error.message : String(error);
    const fix = 'put it there, or name the right path in the profile';
    throw new Failure('input', { what: `${what} cannot be read`, where: path, why, fix }, error);
  }
}

/** The release of helm for this machine. */
async function pinnedHelm({ lock, store }: AppSources): Promise<Input> {
  const { arch } = process;
  if (arch !== 'x64' && arch !== 'arm64') {
    throw new Failure('unsupported', {
      what: `charts cannot be rendered on a machine of kind ${arch}`,
      fix: 'build on x86_64 or arm64, or render them yourself: helm template, and give `manifests`',
    });
  }
  const name = helmFiles[arch];
  const pin = lock.files.find((file) => file.name === name);
  if (pin === undefined) throw new Error(`the lock covers the profile and does not name ${name}`);
  return { path: await store.need(pin.sha256, name), digest: pin.sha256 };
}
