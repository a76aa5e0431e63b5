// Which server's reconciler acts: a hint that keeps them out of each other's way. It is no fence; the preconditions of
// every write are. Times are of this device's monotonic clock: another's wall clock is not believed.
import { isRecord } from '../../formats/json.ts';
import type { Milliseconds } from '../protocol/terms.ts';
import { ApiError } from './api.ts';
import type { Serving } from './serving.ts';

const leases = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases';
const name = 'edgekiln-reconciler';
/** A lease that nobody renewed for so long is anybody's. */
const lapses: Milliseconds = 45_000;
/** It is renewed this often, not with every look: each is a write of etcd. */
const renewEvery: Milliseconds = 15_000;

export class Lease {
  readonly #serving: Serving;
  readonly #holder: string;
  #seen: { version: string; at: Milliseconds } | undefined;
  #renewedAt = Number.NEGATIVE_INFINITY;

  constructor(serving: Serving, holder: string) {
    this.#serving = serving;
    this.#holder = holder;
  }

  /** Whether this reconciler may act now. */
  async hold(now: Milliseconds): Promise<boolean> {
    if (now - this.#renewedAt < renewEvery) return true;
    const api = await this.#serving.api();
    const found = await api.ask('GET', `${leases}/${name}`);
    if (found.status === 404) return this.#write('POST', leases, '', now);
    if (found.status !== 200 || !isRecord(found.body)) throw new ApiError('the lease', found);
    const metadata = isRecord(found.body['metadata']) ? found.body['metadata'] : {};
    const spec = isRecord(found.body['spec']) ? found.body['spec'] : {};
    const version = String(metadata['resourceVersion']);
    if (this.#seen?.version !== version) this.#seen = { version, at: now };
    if (spec['holderIdentity'] !== this.#holder && now - this.#seen.at < lapses) return false;
    return this.#write('PUT', `${leases}/${name}`, version, now);
  }

  async #write(method: 'POST' | 'PUT', path: string, version: string, now: Milliseconds): Promise<boolean> {
    const answer = await (await this.#serving.api()).ask(method, path, {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name, namespace: 'kube-system', ...(version === '' ? {} : { resourceVersion: version }) },
      spec: {
        holderIdentity: this.#holder,
        leaseDurationSeconds: lapses / 1000,
        // Kubernetes wants microseconds; nobody here reads it.
        renewTime: new Date().toISOString().replace('Z', '000Z'),
      },
    });
    if (answer.status === 409) return false;
    if (answer.status >= 300) throw new ApiError('the lease', answer);
    this.#renewedAt = now;
    return true;
  }
}
