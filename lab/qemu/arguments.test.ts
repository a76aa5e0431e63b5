import { expect, it } from 'vitest';
import { macOf, qemuCommand, type Wiring } from './arguments.ts';
import { findOvmf } from './firmware.ts';

const wiring: Wiring = {
  accelerator: 'tcg',
  console: '/s/n1.tty',
  qmp: '/s/n1.qmp',
  disk: 'driver=qcow2,node-name=disk,file.driver=file,file.filename=/d/disk.qcow2',
  firmware: { code: '/f/code.fd', variables: '/d/a,b/variables.fd' },
  lan: { socket: '/s/0.lan', mac: '52:54:00:01:02:03' },
};

function argumentAfter(args: readonly string[], name: string): readonly string[] {
  return args.flatMap((each, index) => (each === name ? [args[index + 1] ?? ''] : []));
}

it('makes a PC with its own firmware variables, a watchdog that resets, and no network boot', () => {
  const [program, args] = qemuCommand('n1', { board: 'qemu-x86_64' }, wiring);
  expect(program).toBe('qemu-system-x86_64');
  expect(argumentAfter(args, '-drive')).toEqual([
    'if=pflash,format=raw,unit=0,readonly=on,file=/f/code.fd',
    'if=pflash,format=raw,unit=1,file=/d/a,,b/variables.fd',
  ]);
  expect(argumentAfter(args, '-action')).toEqual(['watchdog=reset']);
  expect(argumentAfter(args, '-device')).toContain(
    'virtio-net-pci,netdev=lan,mac=52:54:00:01:02:03,romfile=',
  );
  expect([argumentAfter(args, '-m'), argumentAfter(args, '-smp'), argumentAfter(args, '-rtc')]).toEqual([
    ['1024M'],
    ['2'],
    ['base=utc'],
  ]);
});

it('emulates with a small buffer of translated code: with a large one each reset takes minutes', () => {
  for (const board of ['qemu-x86_64', 'qemu-arm64'] as const) {
    const [, args] = qemuCommand('n1', { board }, wiring);
    expect(argumentAfter(args, '-accel')).toEqual(['tcg,thread=multi,tb-size=128']);
  }
  const [, args] = qemuCommand('n1', { board: 'qemu-x86_64' }, { ...wiring, accelerator: 'kvm' });
  expect(argumentAfter(args, '-accel')).toEqual(['kvm']);
});

it('takes memory, processors, a clock of 1970 and more arguments as they are wished', () => {
  const hardware = { board: 'qemu-arm64', memory: 512, cpus: 4, clock: '1970-01-01T00:00:00' } as const;
  const { lan: _, ...noLan } = wiring;
  const [program, args] = qemuCommand('n1', { ...hardware, extra: ['-snapshot'] }, noLan);
  expect(program).toBe('qemu-system-aarch64');
  expect(argumentAfter(args, '-rtc')).toEqual(['base=1970-01-01T00:00:00']);
  expect(argumentAfter(args, '-m')).toEqual(['512M']);
  expect(argumentAfter(args, '-netdev')).toEqual([]);
  expect(args.at(-1)).toBe('-snapshot');
});

it('gives a machine the same address every time, and another in another site', () => {
  expect(macOf('shop', 'n1')).toMatch(/^52:54:00(:[0-9a-f]{2}){3}$/);
  expect(macOf('shop', 'n1')).toBe(macOf('shop', 'n1'));
  expect(new Set([macOf('shop', 'n1'), macOf('shop', 'n2'), macOf('mill', 'n1')]).size).toBe(3);
});

it('takes firmware code and variables of one build, and names the package when there is none', () => {
  const there = [
    '/usr/share/OVMF/OVMF_CODE_4M.fd',
    '/usr/share/OVMF/OVMF_CODE.fd',
    '/usr/share/OVMF/OVMF_VARS.fd',
  ];
  expect(findOvmf((path) => there.includes(path)).code).toBe('/usr/share/OVMF/OVMF_CODE.fd');
  expect(() => findOvmf(() => false)).toThrow(
    expect.objectContaining({
      kind: 'environment',
      problems: [expect.objectContaining({ fix: 'sudo apt-get install -y --no-install-recommends ovmf' })],
    }),
  );
});
