// Two manifests side by side: which stages were made anew and why, which packages and files are other ones.
import type { Manifest, ManifestStage } from './manifest.ts';

export interface StageChange {
  readonly board: string;
  readonly stage: string;
  /** Such as `option timezone`, `input base`, `version 1 → 2`, `added`. */
  readonly why: readonly string[];
}

export interface VersionChange {
  readonly name: string;
  /** Undefined: not there. */
  readonly before: string | undefined;
  readonly after: string | undefined;
}

export interface ManifestChange {
  readonly stages: readonly StageChange[];
  readonly packages: readonly VersionChange[];
  readonly artifacts: readonly VersionChange[];
  readonly tools: readonly VersionChange[];
  /** What the whole was made from: site, profile, lock, epoch. */
  readonly sources: readonly VersionChange[];
  /** What left, by the start of its digest. */
  readonly files: readonly VersionChange[];
}

export function compareManifests(before: Manifest, after: Manifest): ManifestChange {
  return {
    stages: stageChanges(before, after),
    packages: changes(packagesOf(before), packagesOf(after)),
    artifacts: changes(artifactsOf(before), artifactsOf(after)),
    tools: changes(
      { ...before.tools, edgekiln: before.edgekiln },
      { ...after.tools, edgekiln: after.edgekiln },
    ),
    sources: changes(sourcesOf(before), sourcesOf(after)),
    files: changes(filesOf(before), filesOf(after)),
  };
}

/** Names whose versions are not the same, in their order. */
function changes(
  before: Readonly<Record<string, string>>,
  after: Readonly<Record<string, string>>,
): VersionChange[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .sort()
    .filter((name) => before[name] !== after[name])
    .map((name) => ({ name, before: before[name], after: after[name] }));
}

function packagesOf({ packages }: Manifest): Record<string, string> {
  return Object.fromEntries(
    packages.flatMap(({ architecture, install, extract }) =>
      [...install, ...extract].map(({ name, version }) => [`${name}:${architecture}`, version]),
    ),
  );
}

function artifactsOf({ artifacts }: Manifest): Record<string, string> {
  return Object.fromEntries(artifacts.map(({ name, sha256 }) => [name, sha256]));
}

function sourcesOf({ site, profile, lock, epoch }: Manifest): Record<string, string> {
  return { site, profile: shortened(profile), lock: shortened(lock), epoch: String(epoch) };
}

function filesOf({ devices }: Manifest): Record<string, string> {
  return Object.fromEntries(
    devices.flatMap(({ files }) => files.map(({ name, sha256 }) => [name, shortened(sha256)])),
  );
}

/** As much of a digest as tells two apart. */
function shortened(digest: string): string {
  return digest.slice(0, 16);
}

function stageChanges(before: Manifest, after: Manifest): StageChange[] {
  const [old, now] = [stagesOf(before), stagesOf(after)];
  return [...new Set([...old.keys(), ...now.keys()])].flatMap((id) => {
    const [board = '', stage = ''] = id.split('\n');
    const [was, is] = [old.get(id), now.get(id)];
    if (was?.key === is?.key) return [];
    if (was === undefined) return [{ board, stage, why: ['added'] }];
    if (is === undefined) return [{ board, stage, why: ['removed'] }];
    const version = was.version === is.version ? [] : [`version ${was.version} → ${is.version}`];
    const options = changes(was.options, is.options).map(({ name }) => `option ${name}`);
    const inputs = changes(was.inputs, is.inputs).map(({ name }) => `input ${name}`);
    return [{ board, stage, why: [...version, ...options, ...inputs] }];
  });
}

function stagesOf({ boards }: Manifest): Map<string, ManifestStage> {
  return new Map(
    boards.flatMap(({ board, stages }) =>
      stages.map((stage) => [`${board}\n${stage.stage}`, stage] as const),
    ),
  );
}
