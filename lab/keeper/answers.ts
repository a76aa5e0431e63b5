// Whether the agent of a machine answers, as it tells the console or the network.
import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { Failure } from '../../formats/errors.ts';
import type { MachineStatus } from './control.ts';

/** What the agent promises to write to the console: see firstboot/status/text.ts. */
const agentLine = /edgekiln: (.+ slot [A-Z?], (?:healthy|NOT HEALTHY)[^\r\n]*)\r*\n/g;

/** The end of a log that is looked at, bytes. */
const tail = 65_536;

/** What the agent said last on the console of a machine; undefined if it did not yet, or long ago. */
export async function lastSaid(log: string): Promise<string | undefined> {
  const file = await open(log, 'r').catch(() => undefined);
  if (file === undefined) return undefined;
  try {
    const { size } = await file.stat();
    const from = Math.max(0, size - tail);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(tail), 0, tail, from);
    return [...buffer.toString('utf8', 0, bytesRead).matchAll(agentLine)].at(-1)?.[1];
  } finally {
    await file.close();
  }
}

/**
 * Waits until the agent of every machine answers, on its console or with its status page. A machine that stays silent
 * for `seconds`, or goes off, is an environment failure that names its log.
 */
export async function waitForAnswers(
  machines: () => Promise<readonly MachineStatus[]>,
  seconds: number,
  options: { signal: AbortSignal; say(line: string): void },
): Promise<void> {
  const until = performance.now() + seconds * 1000;
  const answered = new Set<string>();
  for (;;) {
    const silent: MachineStatus[] = [];
    for (const machine of await machines()) {
      if (answered.has(machine.name)) continue;
      if (await answers(machine)) {
        answered.add(machine.name);
        options.say(`${machine.name} answers`);
      } else {
        silent.push(machine);
      }
    }
    if (silent.length === 0) return;
    const off = silent.filter(({ power }) => power === 'off');
    if (off.length > 0) throw problems(off, 'went off before its agent answered');
    if (performance.now() > until) throw problems(silent, `did not answer within ${seconds} s`);
    await sleep(1000, undefined, { signal: options.signal });
  }
}

async function answers({ log, forwards }: MachineStatus): Promise<boolean> {
  if ((await lastSaid(log)) !== undefined) return true;
  if (forwards.status === undefined) return false;
  const page = `http://127.0.0.1:${forwards.status}/`;
  return fetch(page, { signal: AbortSignal.timeout(5000) }).then(
    () => true,
    () => false,
  );
}

function problems(machines: readonly MachineStatus[], what: string): Failure {
  return new Failure(
    'environment',
    machines.map(({ name, log }) => ({ what: `${name} ${what}`, where: log })),
  );
}
