import { expect, test } from 'vitest';
import { patient, slotSettings } from './settings.ts';

test.each([
  ['BOOT_IMAGE=/boot/vmlinuz ro edgekiln.slot=a', patient],
  ['ro edgekiln.fill=0', { ...patient, fillAfter: 0, fillAloneAfter: 0, leisure: 0 }],
  ['edgekiln.fill=90 quiet\n', { ...patient, fillAfter: 90, fillAloneAfter: 90, leisure: 0 }],
  ['edgekiln.confirm=3 edgekiln.deadman=60', { ...patient, trialHealthyFor: 3, networkWithin: 40 }],
  ['edgekiln.fill=', patient],
  ['edgekiln.fill=soon', patient],
  ['xedgekiln.fill=3', patient],
  ['edgekilnxfill=3', patient],
])('%s', (commandLine, settings) => {
  expect(slotSettings(commandLine)).toEqual(settings);
});
