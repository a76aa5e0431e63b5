// Gathers what the agent knows once at its start: configuration, boot record, identity, system.
import { readFile } from 'node:fs/promises';
import { release } from 'node:os';
import { type AgentConfig, parseAgentConfig } from '../../formats/agentconfig.ts';
import { inOneLine } from '../inoneline.ts';
import { type Identity, identify } from './identity.ts';
import type { Paths } from './paths.ts';
import { type BootRecord, parseBootRecord } from './record.ts';

/** What does not change while the device runs. */
export interface BootFacts {
  readonly config: AgentConfig | { readonly unusable: string };
  readonly record: BootRecord;
  readonly identity: Identity;
  readonly os: string;
  readonly kernel: string;
}

/** Reads all of it. Nothing that is missing or broken stops the agent: it becomes part of the status. */
export async function bootFacts(paths: Paths): Promise<BootFacts> {
  const text = (path: string): Promise<string | undefined> => readFile(path, 'utf8').catch(() => undefined);
  const [configText, recordText, siteKey, osRelease] = await Promise.all(
    [paths.config, paths.record, paths.siteKey, paths.osRelease].map(text),
  );
  const region = await readFile(paths.stamp).catch(() => undefined);
  const config = readConfig(configText, paths.config);
  const record = parseBootRecord(recordText ?? '');
  const site = 'unusable' in config ? undefined : config.site;
  return {
    config,
    record,
    identity: identify(region, siteKey, site, record),
    os: /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(osRelease ?? '')?.[1] ?? 'not known',
    kernel: release(),
  };
}

function readConfig(text: string | undefined, file: string): BootFacts['config'] {
  if (text === undefined) return { unusable: `${file} is not there: the image is not whole` };
  try {
    return parseAgentConfig(text, file);
  } catch (error) {
    return { unusable: inOneLine(error) };
  }
}
