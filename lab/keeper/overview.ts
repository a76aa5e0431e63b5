// What a lab is doing, as `lab status` shows it.
import { lastSaid } from './answers.ts';
import { machinesOf } from './client.ts';
import type { MachineStatus } from './control.ts';
import { controlOf, stateOf } from './state.ts';

/** A lab and its hosts. */
export interface LabStatus {
  readonly site: string;
  /** `stale`: a crash or a restart of this host took it away without `down`. */
  readonly state: 'running' | 'stale';
  readonly machines: readonly (MachineStatus & { readonly agent?: string | undefined })[];
}

export async function statusOf(site: string): Promise<LabStatus> {
  if (stateOf(site) !== 'running') return { site, state: 'stale', machines: [] };
  const machines = await machinesOf(controlOf(site));
  return {
    site,
    state: 'running',
    machines: await Promise.all(
      machines.map(async (machine) => ({ ...machine, agent: await lastSaid(machine.log) })),
    ),
  };
}

/** The same as text for people. */
export function render({ site, state, machines }: LabStatus): string {
  if (state === 'stale')
    return `${site}: not running any more; edgekiln lab down ${site} removes what is left`;
  const width = Math.max(...machines.map(({ name }) => name.length));
  const lines = machines.flatMap(({ name, power, addresses, forwards, agent }) => {
    const page =
      forwards.status === undefined ? 'no IPv4 address seen yet' : `http://127.0.0.1:${forwards.status}/`;
    const ssh = forwards.ssh === undefined ? '' : `  ssh -p ${forwards.ssh} 127.0.0.1`;
    const line =
      `  ${name.padEnd(width)}  ${power.padEnd(3)}  ${page}${ssh}  ${addresses.join(' ')}`.trimEnd();
    return agent === undefined ? [line] : [line, `  ${' '.repeat(width)}       ${agent}`];
  });
  return [`${site}: running`, ...lines].join('\n');
}
