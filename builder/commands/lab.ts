// edgekiln lab up|status|console|down: machines to try a site on.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InvalidArgumentError, Option } from 'commander';
import { Failure } from '../../formats/errors.ts';
import { lastSaid, waitForAnswers } from '../../lab/keeper/answers.ts';
import { type LabBoard, labBoards } from '../../lab/qemu/arguments.ts';
import { machinesOf, request } from '../../lab/keeper/client.ts';
import type { MachineStatus } from '../../lab/keeper/control.ts';
import { type Router, routers } from '../../lab/qemu/gateway.ts';
import { chooseImages, onlySite } from '../../lab/qemu/images.ts';
import { keepLab, startKeeper } from '../../lab/keeper/keeper.ts';
import { labPlanSchema } from '../../lab/keeper/plan.ts';
import { controlOf, endLab, labFolder, labSites, stateOf } from '../../lab/keeper/state.ts';
import { attachTerminal } from '../../lab/keeper/terminal.ts';
import { parseSize } from '../profile/size.ts';
import type { Session, Verb } from './frame.ts';

interface UpOptions {
  readonly number?: number;
  readonly board: LabBoard;
  readonly memory?: number;
  readonly cpus?: number;
  readonly disk?: number;
  readonly clock?: string;
  readonly router?: Router;
  readonly silence?: number;
  readonly seed?: number;
  readonly wait?: number;
}

export const verb: Verb = {
  examples: [
    'edgekiln lab up output/shop -n 3 --wait 600',
    'edgekiln lab status',
    'edgekiln lab console shop-1',
  ],
  register(command, act) {
    command
      .command('up [path]')
      .description('start machines from the images of a site (a folder of output/) or from one image')
      .option('-n, --number <count>', 'how many machines (default: one an image)', whole)
      .addOption(new Option('--board <name>', 'kind of machine').choices(labBoards).default('qemu-x86_64'))
      .option('--memory <size>', 'memory of each (default: 1GiB)', size)
      .option('--cpus <count>', 'processors of each (default: 2)', whole)
      .option('--disk <size>', 'disk of each (default: 8GiB)', size)
      .option(
        '--clock <time>',
        'what their clocks say at power-on, such as 1970-01-01T00:00:00 (default: now)',
      )
      .addOption(
        new Option('--router <kind>', 'on their LAN: only leases, or also a way out').choices(routers),
      )
      .option(
        '--silence <seconds>',
        'their ports forward nothing for so long, as with a spanning tree',
        whole,
      )
      .option('--seed <number>', 'of the chances of faults', whole)
      .option('--wait <seconds>', 'wait until the agent of each answers', whole)
      .action(act((session, path: string | undefined, options: UpOptions) => up(session, path, options)));
    command
      .command('status')
      .description('show running labs and how to reach their machines')
      .action(
        act(async () => {
          const labs = await Promise.all(labSites().map(statusOf));
          return { text: labs.map(render).join('\n\n') || 'no lab is running', data: { version: 1, labs } };
        }),
      );
    command
      .command('console <machine>')
      .description('join the serial console of a machine; Ctrl-] leaves it')
      .option('--site <name>', 'of which lab, if there are several')
      .option('--log', 'print what it showed so far instead')
      .action(
        act((session, machine: string, options: { site?: string; log?: boolean }) =>
          joinConsole(session, machine, options),
        ),
      );
    command
      .command('down [site]')
      .description('stop what a lab started, and nothing else; its disks and logs go')
      .action(
        act(async (_session, site: string | undefined) => {
          const sites = site === undefined ? labSites() : [site];
          const ended = (await Promise.all(sites.map(endLab))).flatMap((each) => each ?? []);
          const text = ended.length === 0 ? 'no lab is running' : `down: ${ended.join(', ')}`;
          return { text, data: { version: 1, down: ended } };
        }),
      );
    command.command('keep <plan>', { hidden: true }).action(
      act(async (session, plan: string) => {
        await keepLab(plan, session.signal);
        return { text: '', data: { version: 1 } };
      }),
    );
  },
};

async function up(session: Session, path: string | undefined, options: UpOptions) {
  const { site, machines, shared } = await chooseImages(path ?? (await onlySite('output')), options.number);
  if (stateOf(site) === 'running') {
    throw new Failure('input', { what: `the lab of ${site} is running`, fix: `edgekiln lab down ${site}` });
  }
  if ((await endLab(site)) !== undefined)
    session.say(`what a crash left of the last lab of ${site} is removed`);
  if (shared) session.say('all machines share one image: right for claimed enrolment, clones otherwise');
  const { board, cpus, disk, clock } = options;
  const memory = options.memory === undefined ? undefined : Math.floor(options.memory / 1024 ** 2);
  const silence = options.silence === undefined ? undefined : options.silence * 1000;
  const plan = labPlanSchema.safeParse({
    version: 1,
    site,
    directory: labFolder(site),
    seed: options.seed,
    router: options.router,
    places: machines.map((machine) => ({ ...machine, board, memory, cpus, disk, clock, silence })),
  });
  if (!plan.success) {
    const problems = plan.error.issues.map(({ path, message }) => ({
      what: `${path.join('.')}: ${message}`,
    }));
    throw new Failure('input', problems);
  }
  await startKeeper(plan.data, session.signal);
  if (options.wait !== undefined)
    await waitForAnswers(() => machinesOf(controlOf(site)), options.wait, session);
  const lab = await statusOf(site);
  return { text: render(lab), data: { version: 1, labs: [lab] } };
}

async function joinConsole(session: Session, machine: string, options: { site?: string; log?: boolean }) {
  const [site, another] = options.site === undefined ? labSites() : [options.site];
  if (site === undefined) throw new Failure('input', { what: 'no lab is running', fix: 'edgekiln lab up' });
  if (another !== undefined) throw new Failure('input', { what: 'which lab?', fix: `--site ${site}` });
  if (options.log) {
    const log = join(labFolder(site), machine, `${machine}.log`);
    const text = await readFile(log, 'utf8').catch((error) => {
      throw new Failure('input', { what: `${machine} has no log`, where: log }, error);
    });
    return { text, data: { version: 1, machine, log: text } };
  }
  const { socket } = await request(controlOf(site), { verb: 'console', machine });
  session.say(`${machine}: Ctrl-] leaves the console`);
  await attachTerminal(socket, session.signal);
  return { text: '', data: { version: 1, machine } };
}

interface LabStatus {
  readonly site: string;
  /** `stale`: a crash or a restart of this host took it away without `down`. */
  readonly state: 'running' | 'stale';
  readonly machines: readonly (MachineStatus & { readonly agent?: string | undefined })[];
}

async function statusOf(site: string): Promise<LabStatus> {
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

function render({ site, state, machines }: LabStatus): string {
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

function whole(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
}

function size(text: string): number {
  const bytes = parseSize(text);
  if (bytes === undefined) throw new InvalidArgumentError('It must be a size such as 1GiB.');
  return bytes;
}
