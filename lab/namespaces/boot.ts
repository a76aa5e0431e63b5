// What a host does between power-on and its agent: the part of bootloader, initrd and systemd, in shell, as process 1 of
// its own namespaces. It ends where the unit edgekiln.service begins.

/**
 * First half: still in the groups of the keeper. The clock is the machine's: nobody in a host may set it. The environment says everything: NAME, GROUPS (folders of control
 * groups), and what the second half reads.
 */
export const joinGroups = `set -e
for group in $GROUPS; do echo 0 >"$group/cgroup.procs"; done
exec setpriv --bounding-set -sys_time unshare --cgroup sh -c 'eval "$BOOT"'
`;

/**
 * Second half. SLOT: a folder with the image's own files; DATA: what a data partition is; STAMP, FLASH; NODE: program
 * to run the agent with; K3S: a k3s to lay over the slot's, or empty; LEASES: not empty where a router gives leases;
 * CONTROLLERS: lines of type, options and folder below /sys/fs/cgroup; SETTINGS: NAME=VALUE words for the agent.
 */
export const boot = `set -eu
# Without a table of its own: that would lie in /run, which is moved about here.
mount() { command mount -n "$@"; }
hostname "$NAME"
mount -t proc proc /proc

# /run first: what the other mounts need lies there, out of the way of what they hide.
mount -t tmpfs -o mode=0755 run /mnt
mkdir -p /mnt/edgekiln/data /mnt/edgekiln/slot /mnt/edgekiln/over
chmod 0700 /mnt/edgekiln/over
mount --bind "$SLOT" /mnt/edgekiln/slot
mount --bind "$DATA" /mnt/edgekiln/data
bring() { touch "/mnt/edgekiln/$2"; mount --bind "$1" "/mnt/edgekiln/$2"; }
bring "$NODE" node
[ -z "$K3S" ] || bring "$K3S" k3s
(umask 077; cp "$STAMP" /mnt/edgekiln/stamp)
mount --move /mnt /run

# The machine's own system stands in for the base; what a device would write is gone at every start.
lay_over() {
  [ -d "/$1" ] || return 0
  lower="/$1"
  [ ! -d "/run/edgekiln/slot/$1" ] || lower="/run/edgekiln/slot/$1:/$1"
  mkdir -p "/run/edgekiln/over/$1/upper" "/run/edgekiln/over/$1/work"
  options=index=off,metacopy=off,redirect_dir=off,xino=off
  at="/run/edgekiln/over/$1"
  mount -t overlay -o "lowerdir=$lower,upperdir=$at/upper,workdir=$at/work,$options" overlay "/$1"
}
# What the machine itself may have of k3s or edgekiln is nothing of ours.
lay_over etc
rm -rf /etc/rancher /etc/edgekiln /etc/ssh/ssh_host_*
cp -a /run/edgekiln/slot/etc/. /etc/
for folder in home opt root tmp usr var; do lay_over "$folder"; done
put() { mkdir -p "\${2%/*}"; rm -f "$2"; touch "$2"; mount --bind "/run/edgekiln/$1" "$2"; }
put node /usr/local/bin/node
if [ -n "$K3S" ]; then
  put k3s /usr/local/bin/k3s
  # One that does not carry its own tools finds on the path: containerd (itself), Debian's plugins for networks. And a
  # network, where the machine has none to give: containers of one host reach each other, and no more.
  ln -sf k3s /usr/local/bin/containerd
  PATH=/usr/local/bin:$PATH:/usr/lib/cni
  mkdir -p /etc/cni/net.d
  [ -n "$(ls /etc/cni/net.d)" ] || cat >/etc/cni/net.d/10-lab.conflist <<'END'
{"cniVersion": "0.4.0", "name": "lab", "plugins": [{"type": "bridge", "bridge": "cni0", "isGateway": true,
  "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.42.0.0/24"}]]}}]}
END
fi
printf '#!/bin/sh\\nexec node /usr/lib/edgekiln/edgekiln-node.mjs "$@"\\n' >/usr/local/bin/edgekiln-node
chmod 0755 /usr/local/bin/edgekiln-node

kept=/run/edgekiln/data/persist
state=mounted
[ -d "$kept" ] || { state=created; mkdir "$kept"; }
while read -r kind path mode owner; do
  case "$kind $path" in
    dir\\ /home | dir\\ /root) ;;
    dir*)
      [ -d "$kept$path" ] || { mkdir -p "$kept$path"; chmod "$mode" "$kept$path"; chown "$owner" "$kept$path"; }
      mkdir -p "$path"
      mount --bind "$kept$path" "$path"
      ;;
    copy*) rm -f "$path"; [ ! -f "$kept$path" ] || { mkdir -p "\${path%/*}"; cp -p "$kept$path" "$path"; } ;;
  esac
done </etc/edgekiln/persist.conf
[ -s /etc/machine-id ] || tr -d - </proc/sys/kernel/random/uuid >/etc/machine-id
data="{\\"state\\":\\"$state\\",\\"detail\\":\\"\\"}"
echo "{\\"flash\\":\\"$FLASH\\",\\"slot\\":\\"A\\",\\"seq\\":\\"0\\",\\"disk\\":\\"\\",\\"data\\":$data,\\"problems\\":[]}" >/run/edgekiln/boot.json

# Devices of its own; the console is what the lab shows and keeps. Ours is a socket, which has no name to be opened by.
mkfifo /run/edgekiln/console
exec 3<>/run/edgekiln/console
cat <&3 3>&- &
mount -t tmpfs -o mode=0755 dev /mnt
mkdir /mnt/pts /mnt/shm /mnt/net
for device in null zero full random urandom tty kmsg fuse net/tun; do
  [ ! -e "/dev/$device" ] || cp -a "/dev/$device" "/mnt/$device"
done
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts /mnt/pts
mount -t tmpfs -o mode=1777 shm /mnt/shm
ln -s pts/ptmx /mnt/ptmx
ln -s /proc/self/fd /mnt/fd
for number in 0,stdin 1,stdout 2,stderr; do ln -s "/proc/self/fd/\${number%,*}" "/mnt/\${number#*,}"; done
ln -s /run/edgekiln/console /mnt/console
mount --move /mnt /dev
mount -t sysfs sysfs /sys
echo console >/run/edgekiln/consoles
[ ! -e /sys/class/tty/console/active ] || mount --bind /run/edgekiln/consoles /sys/class/tty/console/active
echo "$CONTROLLERS" | while read -r type options folder; do
  [ "$type" = cgroup2 ] || [ -e /sys/fs/cgroup/.ours ] || { mount -t tmpfs -o mode=0755 cgroup /sys/fs/cgroup; : >/sys/fs/cgroup/.ours; }
  mkdir -p "/sys/fs/cgroup/$folder"
  mount -t "$type" -o "$options" cgroup "/sys/fs/cgroup/$folder"
done
mount -o remount,bind,ro /
mount --make-rshared /

# The cable is plugged in by the keeper.
until [ -e /sys/class/net/eth0 ]; do sleep 0.1; done
ip link set lo up
ip link set eth0 up
if [ -n "$LEASES" ]; then
  cat >/run/edgekiln/lease <<'END'
#!/bin/sh
case "$1" in
  bound | renew)
    ip -4 address replace "$ip/$mask" dev eth0
    [ -z "\${router:-}" ] || ip route replace default via "$router" ;;
  deconfig) ip -4 address flush dev eth0 scope global ;;
esac
END
  chmod 0755 /run/edgekiln/lease
  busybox udhcpc -f -i eth0 -T 1 -A 3 -S -s /run/edgekiln/lease >/dev/null 2>&1 3>&- &
fi

# As edgekiln.service.
while :; do
  code=0
  env -i PATH="$PATH" HOME=/root EDGEKILN_SUPERVISE=1 UV_THREADPOOL_SIZE=2 MALLOC_ARENA_MAX=1 $SETTINGS \\
    node --max-semi-space-size=1 --max-old-space-size=96 \\
    /usr/lib/edgekiln/edgekiln-node.mjs run </dev/null 3>&- || code=$?
  echo "edgekiln-node ended with $code"
  sleep 3
done
`;
