// Where k3s keeps its files, and where we keep ours beside them.
import { join } from 'node:path';
import { appsFolder } from '../../formats/app.ts';

/** `root` is `/` on a device. */
export function k3sPaths(root: string) {
  const at = (path: string): string => join(root, path);
  const dataDir = at('/var/lib/rancher/k3s');
  const own = join(dataDir, 'edgekiln');
  return {
    program: at('/usr/local/bin/k3s'),
    dataDir,
    /** The data partition as a whole, where folders can be renamed across persisted ones. */
    data: at('/run/edgekiln/data'),
    persisted: at('/run/edgekiln/data/persist/var/lib/rancher/k3s'),
    /** Written anew at every start; not kept over a boot. */
    config: at('/etc/rancher/k3s/config.yaml.d/50-edgekiln.yaml'),
    adminConfig: at('/etc/rancher/k3s/k3s.yaml'),
    kubeletConfig: join(dataDir, 'agent/kubelet.kubeconfig'),
    nodePassword: at('/etc/rancher/node/password'),
    environment: at('/run/edgekiln/k3s.env'),
    process: at('/run/edgekiln/k3s.json'),
    log: at('/var/log/k3s.log'),
    wal: join(dataDir, 'server/db/etcd/member/wal'),
    /** Archives of the slot, and the folder k3s imports from. */
    slotImages: at('/usr/lib/edgekiln/images'),
    apps: at(appsFolder),
    images: join(dataDir, 'agent/images'),
    /** k3s unpacks itself to a folder in here. */
    unpacked: join(dataDir, 'data'),
    storage: join(dataDir, 'storage'),
    /** Which cluster the files around it are of. */
    cluster: join(own, 'cluster.json'),
    serverToken: join(own, 'server-token'),
    agentToken: join(own, 'agent-token'),
    joinToken: join(own, 'join-token'),
  } as const;
}

export type K3sPaths = ReturnType<typeof k3sPaths>;
