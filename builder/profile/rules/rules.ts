// What one key cannot say alone.
import type { Finding } from '../finding.ts';
import { onceOnly, oneBase, oneContent, oneK3s } from './choices.ts';
import { enabledUnits, hiddenFiles, imageLimits, kept, ownedFiles, ownUnits, pathsStay } from './contents.ts';
import { boards, electors, founder, founderLoss, hostnames, nodeLabels, servers } from './devices.ts';
import { k3sConfig } from './k3s.ts';
import type { Look, Rule } from './look.ts';
import { addresses, overlaps } from './ranges.ts';

const rules: readonly Rule[] = [
  ...[oneBase, oneK3s, oneContent, onceOnly],
  ...[boards, founder, founderLoss, servers, electors, hostnames, nodeLabels],
  ...[overlaps, addresses],
  ...[k3sConfig],
  ...[pathsStay, ownedFiles, hiddenFiles, ownUnits, enabledUnits, kept, imageLimits],
];

/** All that the rules find. */
export function checkRules(look: Look): Finding[] {
  return rules.flatMap((rule) => rule(look));
}
