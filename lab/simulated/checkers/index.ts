// Every promise, one checker each.

import { boundOnce } from './bound-once.ts';
import { calmOnce } from './calm-once.ts';
import type { Checker } from './checker.ts';
import { dataKept } from './data-kept.ts';
import { fitsWire } from './fits-wire.ts';
import { foundsOnce } from './founds-once.ts';
import { majorityOnce } from './majority-once.ts';
import { oneIdentity } from './one-identity.ts';
import { provenGenerations } from './proven-generations.ts';
import { saidIsKept } from './said-is-kept.ts';
import { serversKept } from './servers-kept.ts';

export function allCheckers(): readonly Checker[] {
  return [
    oneIdentity(),
    provenGenerations(),
    majorityOnce(),
    dataKept(),
    foundsOnce(),
    saidIsKept(),
    calmOnce(),
    boundOnce(),
    serversKept(),
    fitsWire(),
  ];
}
