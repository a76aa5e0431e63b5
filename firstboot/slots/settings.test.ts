import { expect, test } from 'vitest';
import { fillSettings, patient } from './settings.ts';

test.each([
  ['quiet ro edgekiln.slot=a', patient],
  ['quiet edgekiln.fill=0 ro', { after: 0, leisure: 0 }],
  ['edgekiln.fill=45\n', { after: 45, leisure: 0 }],
  ['edgekiln.fill=soon', patient],
  ['edgekiln.fill=-1', patient],
  ['not.edgekiln.fill=3', patient],
])('the command line %j', (line, settings) => {
  expect(fillSettings(line)).toEqual(settings);
});
