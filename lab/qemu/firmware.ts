// Where distributions put the firmware that machines start with.
import { existsSync } from 'node:fs';
import { Failure } from '../../formats/errors.ts';
import { foreignFiles } from '../../formats/programs.ts';

export interface Firmware {
  readonly code: string;
  /** Template of the variable store; each machine gets a copy of its own. */
  readonly variables: string;
}

/** Code and variables lie beside each other under names that differ in one word. */
const candidates: readonly Firmware[] = foreignFiles['UEFI firmware'].paths.map((code) => {
  return { code, variables: code.replace('_CODE', '_VARS') };
});

/** UEFI firmware for x86_64 machines; none is an environment failure that names the package. */
export function findOvmf(exists: (path: string) => boolean = existsSync): Firmware {
  const found = candidates.find((each) => exists(each.code) && exists(each.variables));
  if (found !== undefined) return found;
  throw new Failure('environment', {
    what: 'no UEFI firmware for the machines of the lab was found',
    why: `looked for ${candidates.map((each) => each.code).join(', ')}`,
    fix: 'sudo apt-get install -y --no-install-recommends ovmf',
  });
}

const uboot = '/usr/lib/u-boot/qemu_arm64/u-boot.bin';

/** U-Boot for QEMU's arm64 `virt` machine. */
export function findUboot(exists: (path: string) => boolean = existsSync): string {
  if (exists(uboot)) return uboot;
  throw new Failure('environment', {
    what: 'no U-Boot for the arm64 machines of the lab was found',
    why: `looked for ${uboot}`,
    fix: 'sudo apt-get install -y --no-install-recommends u-boot-qemu',
  });
}
