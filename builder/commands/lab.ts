// edgekiln lab …: hosts to try a site on, whole machines or namespaces of this one.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { z } from 'zod';
import { Failure, type Problem } from '../../formats/errors.ts';
import { waitForAnswers } from '../../lab/keeper/answers.ts';
import { machinesOf, request } from '../../lab/keeper/client.ts';
import type { Request } from '../../lab/keeper/control.ts';
import { type HostKind, hostKinds } from '../../lab/keeper/host.ts';
import { keepLab, startKeeper } from '../../lab/keeper/keeper.ts';
import { render, statusOf } from '../../lab/keeper/overview.ts';
import { labPlanSchema } from '../../lab/keeper/plan.ts';
import { runOn } from '../../lab/keeper/shell.ts';
import { controlOf, endLab, labFolder, labSites, stateOf } from '../../lab/keeper/state.ts';
import { attachTerminal } from '../../lab/keeper/terminal.ts';
import { flashHosts, onlyInImages } from '../../lab/namespaces/flash.ts';
import { type LabBoard, labBoards } from '../../lab/qemu/arguments.ts';
import { type Router, routers } from '../../lab/qemu/gateway.ts';
import { chooseImages, onlySite } from '../../lab/qemu/images.ts';
import type { Fault } from '../../lab/switch/fault.ts';
import { keysFolder } from '../keys/keyring.ts';
import { loadProfile } from '../profile/load.ts';
import { parseSize } from '../profile/size.ts';
import type { Session, Verb } from './frame.ts';

interface UpOptions {
  readonly number?: number;
  readonly hosts: HostKind;
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

interface OnSite {
  readonly site?: string;
}

export const verb: Verb = {
  examples: [
    'edgekiln lab up output/shop -n 3 --wait 600',
    'sudo edgekiln lab up shop.yaml --hosts namespaces',
    'edgekiln lab cut shop-1',
    'edgekiln lab down',
  ],
  register(command, act) {
    /** One of the lab's verbs, with the command line that shows it. */
    const sub = (usage: string, what: string, example: string): Command =>
      command.command(usage).description(what).addHelpText('after', `\nExample:\n  edgekiln lab ${example}`);
    const onSite = (usage: string, what: string, example: string): Command =>
      sub(usage, what, example).option('--site <name>', 'of which lab, if there are several');

    sub(
      'up [path]',
      'start hosts from the images of a site, from one image, or from a profile',
      'up output/shop -n 3',
    )
      .addOption(
        new Option('--hosts <kind>', 'machines of QEMU, or namespaces of this one (root; from a profile)')
          .choices(hostKinds)
          .default('qemu'),
      )
      .option('-n, --number <count>', 'how many hosts (default: one an image, or all of the profile)', whole)
      .addOption(new Option('--board <name>', 'kind of machine').choices(labBoards).default('qemu-x86_64'))
      .option('--memory <size>', 'memory of each machine (default: 1GiB)', size)
      .option('--cpus <count>', 'processors of each machine (default: 2)', whole)
      .option('--disk <size>', 'disk of each machine (default: 8GiB)', size)
      .option('--clock <time>', 'what clocks say at power-on, such as 1970-01-01T00:00:00 (default: now)')
      .addOption(
        new Option('--router <kind>', 'on their LAN: only leases, or also a way out').choices(routers),
      )
      .option('--silence <seconds>', 'ports forward nothing for so long, as with a spanning tree', whole)
      .option('--seed <number>', 'of the chances of faults', whole)
      .option('--wait <seconds>', 'wait until the agent of each answers', whole)
      .action(act((session, path: string | undefined, options: UpOptions) => up(session, path, options)));
    sub('status', 'show running labs and how to reach their hosts', 'status --json').action(
      act(async () => {
        const labs = await Promise.all(labSites().map(statusOf));
        return { text: labs.map(render).join('\n\n') || 'no lab is running', data: { version: 1, labs } };
      }),
    );
    onSite('console <host>', 'join the console of a host; Ctrl-] leaves it', 'console shop-1').action(
      act((session, host: string, options: OnSite) => joinConsole(session, host, options)),
    );
    onSite('logs <host>', 'print all that the console of a host ever showed', 'logs shop-1').action(
      act((_session, host: string, options: OnSite) => logsOf(host, options)),
    );
    for (const [name, what] of [
      ['exec', 'run a command on a host, or a shell'],
      ['ssh', 'the same: over ssh to a machine, directly into namespaces'],
    ] as const) {
      onSite(`${name} <host> [command...]`, what, `${name} shop-1 -- edgekiln-node status`).action(
        act(async (_session, host: string, words: readonly string[], options: OnSite) => {
          const found = (await machinesOf(controlOf(onlyLab(options)))).find((one) => one.name === host);
          if (found === undefined) throw noHost(host);
          return { text: '', data: { version: 1, host }, exit: await runOn(found, words) };
        }),
      );
    }
    const power = (name: string, what: string, to: 'cut' | 'on' | 'flashed'): void => {
      onSite(`${name} <host>`, what, `${name} shop-1`).action(
        act((_session, host: string, options: OnSite) =>
          order(options, [{ verb: 'power', machine: host, to }], `${name}: ${host}`),
        ),
      );
    };
    power('kill', 'pull the plug of a host: its processes die at once', 'cut');
    power('start', 'power a host on', 'on');
    power('re-flash', 'cut the power, flash the host anew with the same stamp, and power it on', 'flashed');
    const fault = (name: string, what: string, example: string): Command =>
      onSite(`${name} <host> [other]`, `${what}; without another host, between it and all`, example).option(
        '--one-way',
        'only from the host, not to it',
      );
    const between = (host: string, other: string | undefined, oneWay: boolean | undefined, given: Fault) => {
      const [one, two] = [host, other ?? '*'];
      const there: Request = { verb: 'fault', from: one, to: two, fault: given };
      return oneWay === true ? [there] : [there, { ...there, from: two, to: one }];
    };
    fault('cut', 'let nothing pass', 'cut shop-1 shop-2').action(
      act((_session, host: string, other: string | undefined, options: OnSite & { oneWay?: boolean }) =>
        order(options, between(host, other, options.oneWay, { cut: true }), `cut: ${host}`),
      ),
    );
    fault('delay', 'let everything be late', 'delay shop-1 --by 200 --jitter 50')
      .requiredOption('--by <ms>', 'milliseconds', whole)
      .option('--jitter <ms>', 'and by up to so many more', whole)
      .action(
        act(
          (
            _session,
            host: string,
            other: string | undefined,
            options: OnSite & { oneWay?: boolean; by: number; jitter?: number },
          ) => {
            const given = { delay: options.by, jitter: options.jitter };
            return order(options, between(host, other, options.oneWay, given), `delay: ${host}`);
          },
        ),
      );
    fault('lose', 'lose a part of the frames', 'lose shop-1 --percent 30')
      .requiredOption('--percent <number>', 'how many of a hundred', whole)
      .action(
        act(
          (
            _session,
            host: string,
            other: string | undefined,
            options: OnSite & { oneWay?: boolean; percent: number },
          ) => {
            const given = { lose: options.percent / 100 };
            return order(options, between(host, other, options.oneWay, given), `lose: ${host}`);
          },
        ),
      );
    onSite('heal [host] [other]', 'take faults away: between two hosts, of one, or all', 'heal').action(
      act((_session, host: string | undefined, other: string | undefined, options: OnSite) => {
        const ports = [host, other].flatMap((one) => one ?? []);
        return order(options, [{ verb: 'heal', ports }], `healed: ${ports.join(' ') || 'all'}`);
      }),
    );
    sub('down [site]', 'stop what a lab started, and nothing else; its disks and logs go', 'down').action(
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
  const { site, places } = await (options.hosts === 'qemu' ? machines : namespaces)(session, path, options);
  const directory = labFolder(site);
  const { seed, router } = options;
  const plan = labPlanSchema.safeParse({ version: 1, site, directory, seed, router, places });
  if (!plan.success) {
    throw new Failure('input', plan.error.issues.flatMap(problemsOf));
  }
  await startKeeper(plan.data, session.signal);
  if (options.wait !== undefined)
    await waitForAnswers(() => machinesOf(controlOf(site)), options.wait, session);
  const lab = await statusOf(site);
  return { text: render(lab), data: { version: 1, labs: [lab] } };
}

/** Places for whole machines, from images. */
async function machines(session: Session, path: string | undefined, options: UpOptions) {
  const { site, machines, shared } = await chooseImages(path ?? (await onlySite('output')), options.number);
  await makeRoom(session, site);
  if (shared) session.say('all machines share one image: right for claimed enrolment, clones otherwise');
  const { board, cpus, disk, clock } = options;
  const memory = options.memory === undefined ? undefined : Math.floor(options.memory / 1024 ** 2);
  const silence = options.silence === undefined ? undefined : options.silence * 1000;
  const places = machines.map((machine) => ({ ...machine, board, memory, cpus, disk, clock, silence }));
  return { site, places };
}

/** Places for hosts in namespaces, flashed from a profile. */
async function namespaces(session: Session, path: string | undefined, options: UpOptions) {
  if (process.getuid?.() !== 0) {
    throw new Failure('environment', {
      what: 'hosts in namespaces need root',
      fix: 'sudo edgekiln lab up … --hosts namespaces',
    });
  }
  if (path === undefined || !/\.ya?ml$/.test(path)) {
    const what = 'hosts in namespaces are made from a profile';
    throw new Failure('input', { what, fix: 'edgekiln lab up PROFILE.yaml --hosts namespaces' });
  }
  const given = (['memory', 'cpus', 'disk', 'clock'] as const).find((name) => options[name] !== undefined);
  if (given !== undefined) {
    const what = `--${given} is for machines: hosts in namespaces share those of this one`;
    throw new Failure('input', { what, fix: 'leave it out, or take --hosts qemu' });
  }
  const loaded = await loadProfile(path);
  const site = loaded.profile.site.name;
  const unseen = onlyInImages(loaded.profile);
  if (unseen.length > 0) session.say(`not tried here, images alone have it: ${unseen.join(', ')}`);
  await makeRoom(session, site);
  const folder = join(labFolder(site), 'flashed');
  const flashed = await flashHosts(loaded, folder, { keysRoot: keysFolder(), count: options.number });
  const silence = options.silence === undefined ? undefined : options.silence * 1000;
  return { site, places: flashed.map((place) => ({ ...place, silence })) };
}

/** A lab that runs stays; one that a crash left goes. */
async function makeRoom(session: Session, site: string): Promise<void> {
  if (stateOf(site) === 'running') {
    throw new Failure('input', { what: `the lab of ${site} is running`, fix: `edgekiln lab down ${site}` });
  }
  if ((await endLab(site)) !== undefined)
    session.say(`what a crash left of the last lab of ${site} is removed`);
}

/** The lab that is meant: the one that is named, or the only one. */
function onlyLab(options: OnSite): string {
  const [site, another] = options.site === undefined ? labSites() : [options.site];
  if (site === undefined) throw new Failure('input', { what: 'no lab is running', fix: 'edgekiln lab up' });
  if (another !== undefined) throw new Failure('input', { what: 'which lab?', fix: `--site ${site}` });
  return site;
}

async function order(options: OnSite, requests: readonly Request[], text: string) {
  const control = controlOf(onlyLab(options));
  for (const each of requests) (await request(control, each)).socket.destroy();
  return { text, data: { version: 1, done: text } };
}

const noHost = (host: string) =>
  new Failure('input', { what: `this lab has no ${host}`, fix: 'see edgekiln lab status' });

async function logsOf(host: string, options: OnSite) {
  const log = join(labFolder(onlyLab(options)), host, `${host}.log`);
  const text = await readFile(log, 'utf8').catch(() => undefined);
  if (text === undefined) throw noHost(host);
  return { text, data: { version: 1, machine: host, log: text } };
}

async function joinConsole(session: Session, machine: string, options: OnSite) {
  const { socket } = await request(controlOf(onlyLab(options)), { verb: 'console', machine });
  session.say(`${machine}: Ctrl-] leaves the console`);
  await attachTerminal(socket, session.signal);
  return { text: '', data: { version: 1, machine } };
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

/** A place is of one kind or the other: what counts is what is wrong with the kind whose keys it has. */
function problemsOf(issue: z.core.$ZodIssue): Problem[] {
  if (issue.code !== 'invalid_union') return [{ what: `${issue.path.join('.')}: ${issue.message}` }];
  const meant = issue.errors.find((one) => one.every(({ code }) => code !== 'unrecognized_keys'));
  return (meant ?? issue.errors[0] ?? []).map(({ path, message }) => ({
    what: `${[...issue.path, ...path].join('.')}: ${message}`,
  }));
}
