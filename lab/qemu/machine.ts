// One machine: started, spoken to, cut off, reset, stopped. Tests and `lab up` use it alike.
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { Failure } from '../../formats/errors.ts';
import { type Ending, type Running, start } from '../../formats/programs.ts';
import type { Host } from '../keeper/host.ts';
import { accelerator } from './accelerator.ts';
import { type Hardware, qemuCommand, type Wiring } from './arguments.ts';
import type { Disk } from './disk.ts';
import { findOvmf, findUboot } from './firmware.ts';
import type { Lost } from './nbd/write-cache.ts';
import { openQmp } from './qmp.ts';
import { openConsole } from './serial.ts';

export interface MachineOptions extends Hardware {
  readonly name: string;
  /** Stays open: who opened it closes it once the machine is stopped. */
  readonly disk: Disk;
  /** Its log and firmware variables go here; must exist. */
  readonly directory: string;
  /** Its sockets go here; short, a socket's path has at most 107 bytes. `directory` if not given. */
  readonly sockets?: string;
  readonly lan?: Wiring['lan'];
}

export interface Machine extends Host {
  readonly disk: Disk;
  qmp(command: string, args?: object): Promise<unknown>;
}

/** Starts a machine; returns when QEMU runs it. It cannot outlive this process. */
export async function startMachine(options: MachineOptions): Promise<Machine> {
  const { name, directory, disk } = options;
  const socket = (use: string) => join(options.sockets ?? directory, `${name}.${use}`);
  const log = join(directory, `${name}.log`);
  const firmware = prepareFirmware(options);
  const mode = await accelerator();
  const console = await openConsole(name, socket('tty'), log);
  const control = await openQmp(socket('qmp'));
  const wiring = {
    accelerator: mode,
    console: socket('tty'),
    qmp: socket('qmp'),
    firmware,
    lan: options.lan,
  };
  const [program, args] = qemuCommand(name, options, { ...wiring, disk: disk.blockdev });
  let running: Running | undefined;

  const powerOn = async (): Promise<void> => {
    if (running !== undefined) return;
    const ready = control.nextReady();
    const process = start(program, args, { cwd: directory });
    running = process;
    const ended = process.ended.then((ending) => {
      running = undefined;
      console.ended('the machine went off');
      return ending;
    });
    const ending = await Promise.race([ready, ended]);
    if (ending !== undefined) throw notStarted(name, program, ending);
  };
  const powerCut = async (): Promise<Lost | undefined> => {
    const process = running;
    process?.kill('SIGKILL');
    await process?.ended;
    return disk.powerCut();
  };
  const stop = async (): Promise<void> => {
    const process = running;
    process?.kill('SIGKILL');
    await process?.ended;
    await Promise.all([console.close(), control.close()]);
  };

  try {
    await powerOn();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    kind: 'qemu',
    name,
    disk,
    console,
    log,
    pid: () => running?.pid,
    powerCut,
    powerOn,
    reset: async () => void (await control.command('system_reset')),
    async reflash() {
      await powerCut();
      await disk.flash();
      await powerOn();
    },
    qmp: control.command,
    off: async () => void (await running?.ended),
    stop,
  };
}

function prepareFirmware(options: MachineOptions): Wiring['firmware'] {
  if (options.board === 'qemu-arm64') return { code: findUboot() };
  const { code, variables } = findOvmf();
  const own = join(options.directory, 'variables.fd');
  copyFileSync(variables, own);
  return { code, variables: own };
}

function notStarted(name: string, program: string, ending: Ending): Failure {
  return new Failure('environment', {
    what: `machine ${name} did not start: ${program} ended with ${ending.signal ?? ending.code}`,
    why: ending.said || 'it said nothing',
  });
}
