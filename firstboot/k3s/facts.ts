// What k3s on a device is told of the device, and by whom.
import type { AgentConfig } from '../../formats/agentconfig.ts';
import type { Place } from '../../formats/roster.ts';
import type { Feed, Neighbourhood } from '../formation/cluster.ts';
import type { Ask } from '../join/client.ts';

export interface DeviceFacts {
  /** `/` on a device. */
  readonly root: string;
  readonly config: AgentConfig;
  readonly neighbourhood: Neighbourhood;
  readonly ask: Ask;
  readonly feed: Feed;
  /** Takes the time of a server of the cluster, where this device's clock is behind. */
  readonly takeTime: (from: Place) => Promise<void>;
}
