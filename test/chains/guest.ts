// A small Linux for tests of the lab: Debian's kernel and busybox, a shell on the serial console.
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';

const modules = [
  'drivers/virtio/virtio_ring.ko',
  'drivers/virtio/virtio.ko',
  'drivers/virtio/virtio_pci_modern_dev.ko',
  'drivers/virtio/virtio_pci_legacy_dev.ko',
  'drivers/virtio/virtio_pci.ko',
  'net/core/failover.ko',
  'drivers/net/net_failover.ko',
  'drivers/net/virtio_net.ko',
  'drivers/block/virtio_blk.ko',
];

const init = `#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /var/lib/misc /var/run /www
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for module in $(cat /modules/order); do insmod /modules/$module; done
ip link set eth0 up
PS1='guest# ' exec setsid cttyhack sh
`;

/** Makes kernel and initrd in \`directory\` and gives the QEMU arguments that start them. Undefined: no kernel to be had. */
export async function makeGuest(directory: string): Promise<readonly string[] | undefined> {
  const unpacked = join(directory, 'kernel');
  const packageName = await newestKernel();
  if (packageName === undefined || !existsSync('/bin/busybox')) return undefined;
  mkdirSync(directory, { recursive: true });
  const got = await execa('apt-get', ['download', packageName], { cwd: directory, reject: false });
  const deb = readdirSync(directory).find((file) => file.endsWith('.deb'));
  if (got.failed || deb === undefined) return undefined;
  await execa('dpkg-deb', ['-x', join(directory, deb), unpacked]);

  const root = join(directory, 'root');
  mkdirSync(join(root, 'bin'), { recursive: true });
  mkdirSync(join(root, 'modules'));
  cpSync('/bin/busybox', join(root, 'bin/busybox'));
  const kernels = join(
    unpacked,
    existsSync(join(unpacked, 'lib/modules')) ? 'lib/modules' : 'usr/lib/modules',
  );
  const [version] = readdirSync(kernels);
  const order: string[] = [];
  for (const module of modules) {
    for (const ending of ['', '.xz']) {
      const from = join(kernels, String(version), 'kernel', module + ending);
      if (!existsSync(from)) continue;
      order.push(module.replaceAll('/', '-') + ending);
      cpSync(from, join(root, 'modules', order.at(-1) ?? ''));
    }
  }
  writeFileSync(join(root, 'modules/order'), order.join('\n'));
  writeFileSync(join(root, 'init'), init);
  chmodSync(join(root, 'init'), 0o755);
  const initrd = join(directory, 'initrd');
  await execa('sh', ['-c', `find . | cpio -o -H newc > ${initrd}`], { cwd: root });
  const kernel = join(unpacked, 'boot', `vmlinuz-${version}`);
  return ['-kernel', kernel, '-initrd', initrd, '-append', 'console=ttyS0 quiet no_timer_check'];
}

async function newestKernel(): Promise<string | undefined> {
  const { stdout } = await execa('apt-cache', ['depends', 'linux-image-cloud-amd64'], { reject: false });
  return stdout.match(/Depends: (linux-image-\S+)/)?.[1];
}
