// Keys that a profile may have already and that no part of the build acts on yet. A line goes when its work lands:
// a build refuses what it would otherwise leave out in silence.
import type { Finding } from '../finding.ts';
import { printPath } from '../finding.ts';
import { expand, type Look } from './look.ts';

const unbuilt: readonly (readonly string[])[] = [['network', 'wireguard']];

/** Outputs that are not made yet. */
const unmade = ['eflasher', 'bundle'];

/** What is written in a profile and would have no effect. */
export function findUnbuilt(look: Look): Finding[] {
  const keys = unbuilt
    .flatMap((pattern) => expand(look, pattern))
    .filter((at) => look.has(at))
    .map((at) => ({ at, key: true, what: `${printPath(at)} is not built yet` }));
  const outputs = look
    .items(['outputs'])
    .filter((at) => unmade.includes(look.text(at) ?? ''))
    .map((at) => ({ at, what: `the output ${look.text(at)} is not built yet` }));
  const fix = 'remove it, or wait for the version of edgekiln that builds it';
  return [...keys, ...outputs].map((finding) => ({ ...finding, fix }));
}
