// A shell on a host, or one command: into the namespaces of one kind, over ssh to the other.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Failure } from '../../formats/errors.ts';
import type { MachineStatus } from './control.ts';

/** The command line that runs `command` on a host; a shell if there is none. */
export function shellOn(
  host: MachineStatus,
  command: readonly string[],
): readonly [string, readonly string[]] {
  if (host.power === 'off' || host.pid === undefined) {
    throw new Failure('input', { what: `${host.name} is off`, fix: `edgekiln lab start ${host.name}` });
  }
  if (host.kind === 'namespaces') {
    const process = ['--net', '--mount', '--uts', '--ipc', '--cgroup'];
    // As all in there: nobody may set the clock, it is this machine's.
    const inside = [
      'setpriv',
      '--bounding-set',
      '-sys_time',
      '--',
      ...(command.length === 0 ? ['sh', '-i'] : command),
    ];
    const processes = `--pid=/proc/${host.pid}/ns/pid_for_children`;
    return ['nsenter', ['--target', String(host.pid), ...process, processes, '--wdns=/', '--', ...inside]];
  }
  if (host.forwards.ssh === undefined) {
    throw new Failure('environment', {
      what: `no way to ${host.name}: it has shown no IPv4 address yet`,
      fix: `edgekiln lab console ${host.name}`,
    });
  }
  // Every flash makes host keys of its own: none of them is worth remembering.
  const forget = [
    '-o',
    'StrictHostKeyChecking=no',
    '-o',
    'UserKnownHostsFile=/dev/null',
    '-o',
    'LogLevel=ERROR',
  ];
  return ['ssh', [...forget, '-p', String(host.forwards.ssh), '127.0.0.1', ...command]];
}

/** Runs it on this terminal and gives its exit code. */
export async function runOn(host: MachineStatus, command: readonly string[]): Promise<number> {
  const [program, args] = shellOn(host, command);
  const child = spawn(program, args, { stdio: 'inherit' });
  const failed = once(child, 'error').then(([error]) => {
    throw new Failure('environment', { what: `${program} cannot be run`, why: String(error) });
  });
  const [code, signal] = await Promise.race([once(child, 'exit'), failed]);
  return typeof code === 'number' ? code : signal === 'SIGINT' ? 130 : 1;
}
