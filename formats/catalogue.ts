// The external programs: their names, packages and lowest versions, and files of other packages that are read.

/** A program this project calls. Nothing outside of this table is ever run. */
export interface Program {
  /** Debian package that brings it. */
  readonly package: string;
  /** What it is needed for, as `doctor` says it. */
  readonly purpose: string;
  readonly versionArguments?: readonly string[];
  /** Lowest version that works, with the reason in a comment beside it. */
  readonly lowest?: string;
  /** Needed by every build, or only for what `purpose` names. */
  readonly always?: boolean;
  /** Few people need it: `doctor --install` leaves it to them. */
  readonly rare?: boolean;
}

export const programs = {
  mmdebstrap: {
    package: 'mmdebstrap',
    purpose: 'bases made from Debian packages',
    versionArguments: ['--version'],
    lowest: '1.3',
  },
  gpgv: { package: 'gpgv', purpose: 'signatures of Debian releases', versionArguments: ['--version'] },
  xz: {
    package: 'xz-utils',
    purpose: 'reading .deb files and .xz tarballs',
    versionArguments: ['--version'],
    always: true,
  },
  zstd: {
    package: 'zstd',
    purpose: 'reading and writing .zst',
    versionArguments: ['--version'],
    always: true,
  },
  'qemu-system-x86_64': {
    package: 'qemu-system-x86',
    purpose: 'the lab',
    versionArguments: ['--version'],
    lowest: '7.2',
  }, // -netdev stream
  'qemu-system-aarch64': {
    package: 'qemu-system-arm',
    purpose: 'the lab, with arm64 machines',
    versionArguments: ['--version'],
    lowest: '7.2',
    rare: true,
  },
  'qemu-img': { package: 'qemu-utils', purpose: 'the lab', versionArguments: ['--version'] },
  setpriv: {
    package: 'util-linux',
    purpose: 'the lab: machines that end with it',
    versionArguments: ['--version'],
  },
  unshare: { package: 'util-linux', purpose: 'the lab in namespaces', versionArguments: ['--version'] },
  nsenter: { package: 'util-linux', purpose: 'the lab in namespaces', versionArguments: ['--version'] },
  ionice: { package: 'util-linux', purpose: 'filling the second slot on the device, at idle priority' },
  flock: { package: 'util-linux', purpose: 'one build at a time in an output folder', always: true },
  dd: { package: 'coreutils', purpose: 'lets go of cached files that are replaced' },
  date: { package: 'coreutils', purpose: 'the clock of the device' },
  ip: {
    package: 'iproute2',
    purpose: 'site0 on the device, and the lab in namespaces',
    versionArguments: ['-Version'],
    rare: true,
  },
  umount: { package: 'mount', purpose: 'what containers leave behind on the device' },
  busybox: {
    package: 'busybox-static',
    purpose: 'ARP on the device, leases in the lab in namespaces',
    rare: true,
  },
  'apt-get': {
    package: 'apt',
    purpose: 'choosing Debian packages',
    versionArguments: ['--version'],
    lowest: '2.0', // deb822 sources in a private folder
  },
  'apt-helper': { package: 'apt', purpose: 'fetching Debian packages' },
  systemctl: { package: 'systemd', purpose: 'units on the device' },
  journalctl: { package: 'systemd', purpose: 'logs on the device' },
} as const satisfies Record<string, Program>;

export type ProgramName = keyof typeof programs;

/** Files of other packages that are read: any one of the paths will do. */
export const foreignFiles = {
  'keys of Debian': {
    package: 'debian-archive-keyring',
    purpose: 'signatures of Debian releases',
    paths: ['/usr/share/keyrings/debian-archive-keyring.gpg'],
  },
  'UEFI firmware': {
    package: 'ovmf',
    purpose: 'the lab',
    // 4 MiB builds (Debian 12 and 13, Ubuntu 24.04), then 2 MiB (older), then Fedora and Arch.
    paths: [
      '/usr/share/OVMF/OVMF_CODE_4M.fd',
      '/usr/share/OVMF/OVMF_CODE.fd',
      '/usr/share/edk2/ovmf/OVMF_CODE.fd',
      '/usr/share/edk2/x64/OVMF_CODE.4m.fd',
    ],
  },
} as const;
