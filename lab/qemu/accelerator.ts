// Whether this host can really run guests on its processor.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { start } from '../../formats/programs.ts';

/** `tcg` is QEMU's own emulation: everywhere, and some twenty times slower. */
export type Accelerator = 'kvm' | 'tcg';

let found: Promise<Accelerator> | undefined;

/**
 * KVM if a guest with the very processor the machines get runs on it; a `/dev/kvm` that is there says little: in a
 * virtual machine it may open and then fail. Asked once a process. EDGEKILN_ACCEL=kvm|tcg decides instead.
 */
export function accelerator(): Promise<Accelerator> {
  const wish = process.env['EDGEKILN_ACCEL'];
  if (wish === 'kvm' || wish === 'tcg') return Promise.resolve(wish);
  found ??= kvmWorks().then((works) => (works ? 'kvm' : 'tcg'));
  return found;
}

/** Starts a guest of five bytes: at the reset vector, `mov al,0x10; out 0xf4,al; hlt`; QEMU's exit code is then 2 × 0x10 + 1. */
async function kvmWorks(): Promise<boolean> {
  const directory = mkdtempSync(join(tmpdir(), 'edgekiln-kvm-'));
  try {
    const bios = Buffer.alloc(65_536);
    Buffer.from([0xb0, 0x10, 0xe6, 0xf4, 0xf4]).copy(bios, 65_520);
    writeFileSync(join(directory, 'bios'), bios);
    const machine = ['-machine', 'q35', '-accel', 'kvm', '-cpu', 'max', '-smp', '2'];
    const rest = ['-nodefaults', '-display', 'none', '-bios', join(directory, 'bios')];
    const exit = ['-device', 'isa-debug-exit,iobase=0xf4,iosize=1'];
    const guest = start('qemu-system-x86_64', [...machine, ...rest, ...exit]);
    const timer = setTimeout(() => guest.kill('SIGKILL'), 5_000);
    const { code } = await guest.ended;
    clearTimeout(timer);
    return code === 33;
  } finally {
    rmSync(directory, { recursive: true });
  }
}
