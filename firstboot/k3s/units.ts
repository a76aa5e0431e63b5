// The two forms of k3s on a device; one runs at a time.

export type K3sRole = 'server' | 'agent';

export interface Units {
  /** Starts k3s in this role and stops the other; returns at once, for k3s takes its time. Restarts it when it ends. */
  start(role: K3sRole): Promise<void>;
  /** Stops k3s alone: containers go on. Returns when its process is gone. */
  stop(): Promise<void>;
  /** What runs, or is being started again. */
  running(): Promise<K3sRole | undefined>;
  /** The agent ends: k3s goes on. */
  leave(): void;
}
