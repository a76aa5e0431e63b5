// A status as plain text: for the command line, and one line for the console.
import type { SlotName } from '../../formats/bootstate.ts';
import type { Status } from './status.ts';
import { demoWords, doing, duration, table, whoIs } from './words.ts';

/** The whole status, some lines, ending in a newline. */
export function renderText(status: Status): string {
  const rows = table(status);
  const width = Math.max(...rows.map(([name]) => name.length)) + 2;
  const lines = [
    whoIs(status),
    ...(status.demo ? [demoWords] : []),
    doing(status),
    ...status.waitsFor.map(
      ({ what, since }) => `  waits for ${what}, for ${duration(status.uptime - since)}`,
    ),
    ...status.problems.map((problem) => `  problem: ${problem}`),
    '',
    ...rows.map(([name, value]) => `${name.padEnd(width)}${value}`),
    ...status.urls.map((url, index) => `${(index === 0 ? 'page' : '').padEnd(width)}${url}`),
  ];
  return `${lines.join('\n')}\n`;
}

/**
 * The line for the console, without a newline, such as
 * `edgekiln: shop-01 (place 1 of quickstart) slot A, healthy, http://192.168.1.20/`.
 * Machines that watch a console (the lab) may rely on this form: `edgekiln: WHO slot LETTER, healthy|NOT HEALTHY`,
 * then parts that may be missing, each after `, `: `trial`, `DEMO`, `waits for …`, the first problem, one URL.
 */
export function renderConsoleLine(status: Status): string {
  const { slot, waitsFor, problems, urls } = status;
  const parts = [
    `edgekiln: ${whoIs(status)} slot ${slot.current?.toUpperCase() ?? '?'}`,
    status.healthy ? 'healthy' : 'NOT HEALTHY',
    ...(slot.state === 'trial' ? ['trial'] : []),
    ...(status.demo ? ['DEMO'] : []),
    ...waitsFor.map(({ what }) => `waits for ${what}`),
    ...problems.slice(0, 1).map((problem) => `problem: ${problem}`),
    ...urls.slice(0, 1),
  ];
  return parts.join(', ');
}

/** A status as JSON, ending in a newline. */
export function renderJson(status: Status): string {
  return `${JSON.stringify(status, null, 2)}\n`;
}

/** The slots as text, for `edgekiln-node slots`. */
export function renderSlotsText({ slot }: Status): string {
  const row = (name: SlotName): string => {
    const words = [
      slot[name] ?? 'state not known',
      ...(slot.current === name ? ['runs'] : []),
      ...(slot.primary === name ? ['boots next'] : []),
      ...(slot.primary === name && slot.left !== null ? [`${slot.left} attempts left`] : []),
    ];
    return `slot ${name}  ${words.join(', ')}\n`;
  };
  const { filling } = slot;
  const copying = filling === null ? '' : `being filled: ${filling.done} of ${filling.total} bytes\n`;
  return `${row('a')}${row('b')}${copying}`;
}

/** The slots as data (version 1): the same as `slot` of the status. */
export function renderSlotsJson({ slot }: Status): string {
  return `${JSON.stringify({ version: 1, ...slot }, null, 2)}\n`;
}
