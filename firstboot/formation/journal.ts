// What formation says of itself: lines for whoever reads the journal, and the alarms that stand until a person looked.
import type { Alarm, Effect, Rule } from '../protocol/events.ts';
import { transitions } from '../protocol/phases.ts';
import type { RaisedAlarm } from './view.ts';

/** Rules that are used all the time and say nothing to a reader of the journal. */
const quiet: ReadonlySet<Rule> = new Set([
  'discovery: copy dropped',
  'discovery: proven',
  'founding: waits its turn',
]);

export class Journal {
  readonly alarms = new Map<Alarm, RaisedAlarm>();

  /** `now` is monotonic, in milliseconds. */
  write(effect: Extract<Effect, { kind: 'note' | 'entered' | 'alarm' }>, now: number): void {
    switch (effect.kind) {
      case 'note':
        if (!quiet.has(effect.rule)) console.log(`formation: ${effect.rule}`);
        return;
      case 'entered': {
        const { to, why } = transitions[effect.transition];
        console.log(`formation: ${to}: ${why}`);
        return;
      }
      case 'alarm':
        console.error(`formation: ALARM ${effect.alarm}: ${effect.about}`);
        this.alarms.set(effect.alarm, { about: effect.about, at: now });
        return;
    }
  }
}
