// What a device does when its disk refuses: it stops voting, founding and joining, and tries again.
import { sit } from './enrolment.ts';
import { proposeSoon } from './proposer.ts';
import type { Record } from './record.ts';
import { resume } from './start.ts';
import { never } from './terms.ts';
import { diskRetry } from './timings.ts';
import type { Turn } from './turn.ts';

export function persisted(turn: Turn, record: Record): void {
  const { state } = turn;
  state.durable = record;
  if (!state.diskFailed) return;
  turn.note('disk: works again');
  state.diskFailed = false;
  turn.due('disk', never);
  // It may have been mute, and so unanswered: it looks around again before it believes to be alone.
  turn.settleAnew();
  turn.helloWithin(0);
  if (record.amnesiac) turn.due('recover', turn.now);
  proposeSoon(turn);
}

/** What was not written was not said either: the device goes back to what its disk holds. */
export function diskFailed(turn: Turn): void {
  const { state } = turn;
  turn.note('disk: failed');
  turn.alarm('disk', 'the record could not be written');
  state.diskFailed = true;
  turn.due('disk', turn.now + diskRetry);
  state.proposal = undefined;
  state.recovery = undefined;
  if (state.durable !== undefined) state.record = state.durable;
  state.asked = state.durable;
  sit(state);
  resume(turn);
}

export function retryDisk(turn: Turn): void {
  turn.due('disk', turn.now + diskRetry);
  turn.effects.push({ kind: 'persist', record: turn.state.record });
}
