// The packages of the default base: Debian 13. Data, with the reason for each.

/** What every base holds, besides Debian's essential packages. Boards add their kernel and bootloader. */
export const defaultPackages: readonly string[] = [
  'busybox-static', // the initrd is made of it
  'ca-certificates', // TLS to registries and hubs
  'conntrack', // kube-proxy
  'dbus', // systemd's clients
  'e2fsprogs', // the initrd makes, grows and checks data with the slot's own tools
  'ethtool', // k3s looks for it
  'fdisk', // sfdisk: the data partition is made on first boot
  'iproute2', // site0, WireGuard
  'iptables', // k3s: flannel, kube-proxy (its bundled copy is for the vendor kernels only)
  'iputils-ping', // for the person at the console
  'kmod',
  'login',
  'netbase', // /etc/protocols, /etc/services
  'nodejs', // the agent
  'openssh-server',
  'passwd',
  'procps', // sysctl
  'rauc', // updates
  'systemd',
  'systemd-sysv',
  'systemd-timesyncd',
  'udev',
  'util-linux', // flock, lsblk, blkid
  'wireguard-tools', // wg: the way to the hub
];

/** Holds all locales made ready; only files of it are taken. C.UTF-8 is in every base. */
export const localesPackage = 'locales-all';
