// What QEMU is told for a machine of the lab. Data in, argument list out.
import { createHash } from 'node:crypto';
import type { ProgramName } from '../../formats/programs.ts';
import type { Accelerator } from './accelerator.ts';

/** Kinds of machines, named as the boards of profiles. */
export const labBoards = ['qemu-x86_64', 'qemu-arm64'] as const;
export type LabBoard = (typeof labBoards)[number];

export interface Hardware {
  readonly board: LabBoard;
  /** MiB; 1024 if not given. */
  readonly memory?: number | undefined;
  /** 2 if not given. */
  readonly cpus?: number | undefined;
  /** What the hardware clock says at power-on: `utc`, or a time such as `1970-01-01T00:00:00`. */
  readonly clock?: string | undefined;
  /** More arguments, as they are. */
  readonly extra?: readonly string[] | undefined;
}

/** Files and sockets of one machine; QEMU connects to the sockets, it never listens. */
export interface Wiring {
  readonly accelerator: Accelerator;
  readonly console: string;
  readonly qmp: string;
  /** A `-blockdev` with the node name `disk`. */
  readonly disk: string;
  /** Files of the firmware: code and, for UEFI, its variables. */
  readonly firmware: { readonly code: string; readonly variables?: string };
  /** A port of a switch; none: no network card. */
  readonly lan?: { readonly socket: string; readonly mac: string } | undefined;
}

/** The program and its arguments. A watchdog that runs out resets the machine; a guest that reboots stays. */
export function qemuCommand(
  name: string,
  hardware: Hardware,
  wiring: Wiring,
): readonly [ProgramName, readonly string[]] {
  const { lan } = wiring;
  const [program, board] = boardArguments(hardware.board, wiring);
  const clock = hardware.clock ?? 'utc';
  return [
    program,
    [
      ...['-name', quoted(name), '-nodefaults', '-no-user-config', '-display', 'none'],
      ...board,
      ...['-smp', String(hardware.cpus ?? 2), '-m', `${hardware.memory ?? 1024}M`, '-rtc', `base=${clock}`],
      ...['-blockdev', wiring.disk, '-device', 'virtio-blk-pci,drive=disk,bootindex=1'],
      ...(lan === undefined
        ? []
        : [
            ...['-netdev', `stream,id=lan,server=off,addr.type=unix,addr.path=${quoted(lan.socket)}`],
            // No boot ROM: firmware would try the network for minutes when the disk does not start.
            ...['-device', `virtio-net-pci,netdev=lan,mac=${lan.mac},romfile=`],
          ]),
      ...['-object', 'rng-random,id=chance,filename=/dev/urandom', '-device', 'virtio-rng-pci,rng=chance'],
      ...['-device', 'i6300esb', '-action', 'watchdog=reset'],
      ...['-chardev', `socket,id=console,path=${quoted(wiring.console)}`, '-serial', 'chardev:console'],
      ...['-chardev', `socket,id=qmp,path=${quoted(wiring.qmp)}`, '-mon', 'chardev=qmp,mode=control'],
      ...(hardware.extra ?? []),
    ],
  ];
}

/**
 * QEMU's own emulation. Code it has translated stays in a buffer of 1 GiB unless told otherwise. After a reset the firmware
 * writes over a million stale pieces of it, and throwing each away by itself is so slow that GRUB takes 80 s instead of 7 to
 * load a kernel (QEMU 7.2, measured). A small buffer is emptied as a whole now and then: a boot takes no longer by it, a
 * reset as long as a start, and each machine has 0.9 GiB less of the host's memory.
 */
const emulation = 'tcg,thread=multi,tb-size=128';

function boardArguments(board: LabBoard, wiring: Wiring): readonly [ProgramName, readonly string[]] {
  const { code, variables } = wiring.firmware;
  if (board === 'qemu-arm64') {
    // An arm64 guest is always emulated here; `max` would add pointer authentication, which is slow to emulate.
    const machine = ['-machine', 'virt', '-accel', emulation, '-cpu', 'cortex-a72'];
    return ['qemu-system-aarch64', [...machine, '-bios', code]];
  }
  const accel = wiring.accelerator === 'kvm' ? 'kvm' : emulation;
  const flash = (file: string, options: string) => [
    '-drive',
    `if=pflash,format=raw,${options},file=${quoted(file)}`,
  ];
  return [
    'qemu-system-x86_64',
    [
      ...['-machine', 'q35', '-accel', accel, '-cpu', 'max'],
      ...flash(code, 'unit=0,readonly=on'),
      ...(variables === undefined ? [] : flash(variables, 'unit=1')),
    ],
  ];
}

/** A value inside of an option list: QEMU ends it at a comma, and takes two for one. */
export function quoted(value: string): string {
  return value.replaceAll(',', ',,');
}

/** An Ethernet address of a machine: locally administered, QEMU's prefix, the same for the same name every time. */
export function macOf(site: string, name: string): string {
  const digest = createHash('sha256').update(`${site}/${name}`).digest('hex');
  return `52:54:00:${digest.slice(0, 2)}:${digest.slice(2, 4)}:${digest.slice(4, 6)}`;
}
