// manifest.json: what a build is made of and what came out. It names no time, no machine and no secret, so that the same
// inputs give the same bytes.
import { z } from 'zod';
import { Failure } from '../../formats/errors.ts';
import { parseJson } from '../../formats/json.ts';
import type { StageRecord } from './runner.ts';

const digest = z.string();
const packaged = z.object({ name: z.string(), version: z.string(), sha256: digest });

const stageSchema = z.object({
  stage: z.string(),
  version: z.int(),
  /** Names the result: the hash of all below and the stage's name and version. */
  key: digest,
  /** Digest of each option, by name. */
  options: z.record(z.string(), digest),
  /** Digest or key of each input, by name. */
  inputs: z.record(z.string(), digest),
});

const fileSchema = z.object({ name: z.string(), size: z.int(), sha256: digest });

const manifestSchema = z.object({
  version: z.literal(1),
  edgekiln: z.string(),
  site: z.string(),
  /** Seconds since 1970: the time of everything that is made. */
  epoch: z.int(),
  /** Digest of the profile with all defaults filled in, which is in `profile.resolved.yaml` without its secrets. */
  profile: digest,
  lock: digest,
  /** Programs and libraries whose version may change bytes. */
  tools: z.record(z.string(), z.string()),
  packages: z.array(
    z.object({
      suite: z.string(),
      architecture: z.string(),
      install: z.array(packaged),
      extract: z.array(packaged),
    }),
  ),
  /** Files from elsewhere, by the names of the lock. */
  artifacts: z.array(fileSchema),
  boards: z.array(
    z.object({
      board: z.string(),
      /**
       * Bytes: of the slot, what the filesystem in it takes, and the image; what the next one may take more, the
       * smallest medium, and what data has there and needs. Older manifests lack the latter.
       */
      budget: z.object({
        slot: z.int(),
        used: z.int(),
        image: z.int(),
        growth: z.int().optional(),
        medium: z.int().optional(),
        data: z.object({ size: z.int(), needs: z.int(), parts: z.record(z.string(), z.int()) }).optional(),
      }),
      stages: z.array(stageSchema),
    }),
  ),
  devices: z.array(
    z.object({
      device: z.string(),
      hostname: z.string(),
      place: z.int(),
      board: z.string(),
      files: z.array(fileSchema),
    }),
  ),
});

export type Manifest = z.output<typeof manifestSchema>;
export type ManifestStage = z.output<typeof stageSchema>;

export const manifestFile = 'manifest.json';
export const sumsFile = 'SHA256SUMS';
export const resolvedProfileFile = 'profile.resolved.yaml';

export function renderManifest(manifest: Manifest): string {
  return `${JSON.stringify(manifest, undefined, 2)}\n`;
}

/** Reads a manifest; a Failure of kind input or unsupported says what is wrong with it. */
export function parseManifest(text: string, where: string): Manifest {
  const value = parseJson(text);
  const version = z.object({ version: z.number() }).safeParse(value);
  if (version.success && version.data.version !== 1) {
    throw new Failure('unsupported', {
      what: `a manifest of version ${version.data.version}`,
      where,
      why: 'this edgekiln reads version 1',
      fix: 'use the edgekiln that made it, or build again with this one',
    });
  }
  const parsed = manifestSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const why = `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not a manifest'}`;
  const fix = 'build again: the file was changed or cut';
  throw new Failure('input', { what: 'this is not a manifest of edgekiln', where, why, fix });
}

/** A stage as a manifest names it. */
export function stageOf({ stage, version, key, options, inputs }: StageRecord): ManifestStage {
  return { stage, version, key, options: { ...options }, inputs: { ...inputs } };
}
