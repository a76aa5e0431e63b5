import { describe, expect, it } from 'vitest';
import { planModules } from './modules.ts';

const dependencies = `kernel/fs/ext4/ext4.ko.xz: kernel/fs/jbd2/jbd2.ko.xz kernel/lib/crc16.ko.xz kernel/fs/mbcache.ko.xz
kernel/fs/jbd2/jbd2.ko.xz: kernel/lib/crc16.ko.xz
kernel/fs/mbcache.ko.xz:
kernel/lib/crc16.ko.xz:
kernel/drivers/watchdog/i6300esb.ko.xz:
kernel/drivers/scsi/sd-mod.ko.xz:
`;
const builtin = 'kernel/drivers/virtio/virtio_pci.ko\nkernel/fs/overlayfs/overlay.ko\n';

describe('modules of an initrd', () => {
  it('come after what they need, each once', () => {
    const plan = planModules(
      [{ name: 'ext4' }, { name: 'i6300esb', options: 'heartbeat=120' }],
      dependencies,
      builtin,
    );
    expect(plan.missing).toEqual([]);
    expect(plan.load.map((module) => module.path)).toEqual([
      'kernel/fs/mbcache.ko.xz',
      'kernel/lib/crc16.ko.xz',
      'kernel/fs/jbd2/jbd2.ko.xz',
      'kernel/fs/ext4/ext4.ko.xz',
      'kernel/drivers/watchdog/i6300esb.ko.xz',
    ]);
    expect(plan.load.at(-1)?.options).toBe('heartbeat=120');
  });

  it('built into the kernel need no file, and a dash is an underscore', () => {
    const plan = planModules(
      [{ name: 'virtio-pci' }, { name: 'overlay' }, { name: 'sd_mod' }],
      dependencies,
      builtin,
    );
    expect(plan).toEqual({ load: [{ path: 'kernel/drivers/scsi/sd-mod.ko.xz', options: '' }], missing: [] });
  });

  it('that are nowhere are named, unless the board can do without', () => {
    const plan = planModules([{ name: 'btrfs' }, { name: 'nvme', optional: true }], dependencies, builtin);
    expect(plan).toEqual({ load: [], missing: ['btrfs'] });
  });
});
