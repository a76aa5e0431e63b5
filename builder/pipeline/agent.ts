// What an image tells its agent of the profile: agent.json.
import type { AgentConfig } from '../../formats/agentconfig.ts';
import { version } from '../installation.ts';
import type { Profile } from '../profile/profile.ts';

const statusPort = 80;

/** The configuration that all devices of a site share. `k3s` is the one in the slot. */
export function agentConfigOf(
  profile: Profile,
  k3s: { readonly version: string; readonly standIn: boolean },
): AgentConfig {
  const { servers, network, lan, limits } = profile;
  const nodes = profile.devices.filter(({ labels, taints }) => {
    return Object.keys(labels).length > 0 || taints.length > 0;
  });
  return {
    version: 1,
    site: profile.site.name,
    edgekiln: version,
    k3s: { ...k3s, config: profile.k3s.config },
    servers: {
      count: servers.count,
      promoteAt: servers.promoteAt,
      replaceAfter: servers.replaceAfter / 60,
    },
    network: {
      podCidr: network.podCidr,
      serviceCidr: network.serviceCidr,
      siteInterface: network.siteInterface,
    },
    lan: { interface: lan.interface },
    nodes: Object.fromEntries(nodes.map(({ hostname, labels, taints }) => [hostname, { labels, taints }])),
    limits: { containerLogs: limits.containerLogs, images: limits.images },
    port: statusPort,
  };
}
