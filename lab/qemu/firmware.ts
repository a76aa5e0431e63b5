// Where distributions put the firmware that machines start with.
import { existsSync } from 'node:fs';
import { Failure } from '../../formats/errors.ts';

export interface Firmware {
  readonly code: string;
  /** Template of the variable store; each machine gets a copy of its own. */
  readonly variables: string;
}

/** Pairs that belong together: 4 MiB builds (Debian 12 and 13, Ubuntu 24.04), then 2 MiB (older), then Fedora and Arch. */
const candidates: readonly Firmware[] = [
  { code: '/usr/share/OVMF/OVMF_CODE_4M.fd', variables: '/usr/share/OVMF/OVMF_VARS_4M.fd' },
  { code: '/usr/share/OVMF/OVMF_CODE.fd', variables: '/usr/share/OVMF/OVMF_VARS.fd' },
  { code: '/usr/share/edk2/ovmf/OVMF_CODE.fd', variables: '/usr/share/edk2/ovmf/OVMF_VARS.fd' },
  { code: '/usr/share/edk2/x64/OVMF_CODE.4m.fd', variables: '/usr/share/edk2/x64/OVMF_VARS.4m.fd' },
];

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
