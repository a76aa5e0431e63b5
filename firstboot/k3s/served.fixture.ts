// A server of the stand-in on loopback, and what the agent has to speak with it.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Loopback, openLoopback } from '../../lab/standin/loopback.fixture.ts';
import { type K3sPaths, k3sPaths } from './paths.ts';
import { Serving } from './serving.ts';
import { writeSecret } from './store.ts';

export interface Served {
  readonly server: Loopback;
  readonly paths: K3sPaths;
  readonly serving: Serving;
  /** The server token, whole. */
  readonly token: string;
  close(): Promise<void>;
}

/** A founder or, with `first`, one more server of its cluster. */
export async function openServed(first?: Served): Promise<Served> {
  const root = mkdtempSync(join(tmpdir(), 'edgekiln-served-'));
  const server = await openLoopback(root, first && { server: first.server, token: first.token });
  const paths = k3sPaths(root);
  const token = readFileSync(join(paths.dataDir, 'server/token'), 'utf8').trim();
  await writeSecret(paths.serverToken, token);
  const serving = new Serving(paths);
  return {
    server,
    paths,
    serving,
    token,
    async close() {
      serving.forget();
      await server.stop();
      rmSync(root, { recursive: true, force: true });
    },
  };
}
