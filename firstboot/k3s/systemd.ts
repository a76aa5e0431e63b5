// k3s as units of systemd: overlays/agent brings them, none of them enabled.
import type { K3sRole, Units } from './units.ts';

const unitOf = { server: 'k3s.service', agent: 'k3s-agent.service' } as const;

export const systemdUnits: Units = {
  async start(role: K3sRole): Promise<void> {
    // Conflicts= in the units stops the other one. Starting may take minutes: nobody waits for it here.
    await systemctl(['start', '--no-block', unitOf[role]]);
  },
  async stop(): Promise<void> {
    await systemctl(['stop', unitOf.server, unitOf.agent]);
  },
  async running(): Promise<K3sRole | undefined> {
    for (const role of ['server', 'agent'] as const) {
      const { stdout } = await systemctl(['show', '--property=ActiveState', '--value', unitOf[role]]);
      if (!['inactive', 'failed', ''].includes(stdout.trim())) return role;
    }
    return undefined;
  },
  leave(): void {},
};

/** What starts programs is a large part of the bundle; it is read when it is needed. */
async function systemctl(args: readonly string[]): Promise<{ readonly stdout: string }> {
  const { run } = await import('../../formats/programs.ts');
  return run('systemctl', args);
}
