import type { Board } from './board.ts';

const MiB = 1024 ** 2;

/** A PC with EFI firmware as QEMU makes one; the lab's board. Real PCs of that kind start from it. */
export const qemuX86: Board = {
  name: 'qemu-x86_64',
  summary: 'EFI x86_64 virtual machine (QEMU q35)',
  architecture: 'amd64',
  bootloader: {
    kind: 'grub-efi',
    shim: { package: 'shim-signed', path: 'usr/lib/shim/shimx64.efi.signed' },
    grub: { package: 'grub-efi-amd64-signed', path: 'usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed' },
    shimName: 'BOOTX64.EFI',
    grubName: 'grubx64.efi',
  },
  // The cloud kernel lacks the i6300esb watchdog.
  kernel: 'linux-image-amd64',
  modules: [
    { name: 'virtio_pci', optional: true },
    { name: 'virtio_blk' },
    { name: 'virtio_scsi', optional: true },
    { name: 'sd_mod' },
    { name: 'ahci', optional: true },
    { name: 'nvme', optional: true },
    // ext4 asks for it by another name than its file's.
    { name: 'crc32c_generic', optional: true },
    { name: 'ext4' },
    { name: 'overlay' },
    // A slot of a disk whose partition table the kernel refuses.
    { name: 'loop', optional: true },
    // Long enough for a check of data under emulation; systemd sets its own once it runs.
    { name: 'i6300esb', options: 'heartbeat=120', optional: true },
  ],
  // A busy host is late with the timer that the kernel checks.
  arguments: 'console=tty0 console=ttyS0,115200 quiet no_timer_check',
  diskPreference: [],
  layout: { firstPartition: 4 * MiB, esp: 64 * MiB, slot: 1024 * MiB },
  disk: 8_000_000_000,
  hardware: 5,
};
