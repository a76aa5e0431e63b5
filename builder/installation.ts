// Where edgekiln's own files are: the same whether it runs from its sources or from its bundle.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Failure } from '../formats/errors.ts';
import packageFacts from '../package.json' with { type: 'json' };

/** The folder that holds package.json, overlays/ and profiles/. */
const installation: string = findInstallation(dirname(fileURLToPath(import.meta.url)));

/** Version of edgekiln, as package.json says it. */
export const version: string = packageFacts.version;

/** The overlay of a concern. */
export function overlayFolder(concern: string): string {
  return join(installation, 'overlays', concern);
}

/** A program that is bundled to one file for the device. */
export function bundled(name: 'edgekiln-node.mjs' | 'k3s-stand-in.mjs'): string {
  const path = join(installation, 'dist', name);
  if (existsSync(path)) return path;
  throw new Failure('environment', { what: `${name} is not built`, where: path, fix: 'npm run build' });
}

function findInstallation(from: string): string {
  if (existsSync(join(from, 'package.json'))) return from;
  const parent = dirname(from);
  if (parent === from) throw new Error('edgekiln cannot find its own files');
  return findInstallation(parent);
}
