import { expect, test } from 'vitest';
import { mountsIn } from './containers.ts';

test("mounts of pods and of k3s are theirs, whatever their names; nobody else's are", () => {
  const text = `36 35 98:0 / / rw,noatime - ext4 /dev/root rw
40 36 0:20 / /run rw - tmpfs run rw
41 36 8:4 /persist/kubelet /var/lib/kubelet rw - ext4 /dev/sda4 rw
42 41 0:50 / /var/lib/kubelet/pods/1f/volumes/kubernetes.io~projected/a\\040b rw - tmpfs tmpfs rw
43 40 0:51 / /run/k3s/containerd/io.containerd.grpc.v1.cri/sandboxes/77/shm rw - tmpfs shm rw
44 40 0:4 net:[4026] /run/netns/cni-12 rw - nsfs nsfs rw
45 40 0:4 net:[4027] /run/netns/mine rw - nsfs nsfs rw
`;
  expect(mountsIn(text)).toEqual([
    '/var/lib/kubelet/pods/1f/volumes/kubernetes.io~projected/a b',
    '/run/k3s/containerd/io.containerd.grpc.v1.cri/sandboxes/77/shm',
    '/run/netns/cni-12',
  ]);
});
