// Carries out what the protocol decides about servers, on whichever server has the lease; and what every server may:
// barring revoked devices, applying the site's apps.

import type { AgentConfig } from '../../formats/agentconfig.ts';
import { isRecord, parseJson } from '../../formats/json.ts';
import type { Place } from '../../formats/roster.ts';
import type { ClusterStatus, Neighbourhood } from '../formation/cluster.ts';
import { inOneLine } from '../inoneline.ts';
import type { Ask } from '../join/client.ts';
import { applyChange, watched } from '../protocol/journal.ts';
import { type Decision, decideRoles, defaultRoles, type RoleSettings } from '../protocol/roles.ts';
import type { ClusterId, Milliseconds } from '../protocol/terms.ts';
import { applyApps } from './apps.ts';
import { JournalStore } from './journal.ts';
import { Lease } from './lease.ts';
import { bar } from './revocation.ts';
import type { Serving } from './serving.ts';
import { orphansOf, type Sight, type Surroundings, viewOf, Watch } from './view.ts';

/** A candidate's word about its fitness counts this long. */
const fitnessCounts: Milliseconds = 300_000;
/** Watched time is written once so much of it has come together. */
const watchedEvery: Milliseconds = 60_000;
/** How often the site's apps are compared with what was applied. */
const appsEvery: Milliseconds = 60_000;
/** Apps with volumes start when the site has decided for this cluster, or after so much watched time. */
const undecidedFor: Milliseconds = 600_000;

export interface Seen {
  readonly servers: number;
  readonly members: number;
  readonly nodes: NonNullable<ClusterStatus['nodes']>;
  /** An operation is under way: look again soon. */
  readonly busy: boolean;
  readonly alarm: string | undefined;
}

export class Reconciler {
  readonly #serving: Serving;
  readonly #neighbourhood: Neighbourhood;
  readonly #ask: Ask;
  readonly #cluster: ClusterId;
  readonly #settings: RoleSettings | undefined;
  readonly #journal: JournalStore;
  readonly #lease: Lease;
  readonly #watch = new Watch();
  readonly #fitness = new Map<Place, { fit: boolean; at: Milliseconds }>();
  #journalSeen: { version: string; at: Milliseconds } | undefined;
  readonly #barred = new Set<string>();
  readonly #apps: string;
  #appsAt = Number.NEGATIVE_INFINITY;
  /** Names of the apps that wait, as they were said last. */
  #appsWait = '';
  #said = '';

  constructor(
    serving: Serving,
    neighbourhood: Neighbourhood,
    ask: Ask,
    cluster: ClusterId,
    config: AgentConfig,
    apps: string,
  ) {
    this.#serving = serving;
    this.#neighbourhood = neighbourhood;
    this.#ask = ask;
    this.#cluster = cluster;
    this.#settings = roleSettings(config);
    this.#apps = apps;
    this.#journal = new JournalStore(serving);
    this.#lease = new Lease(serving, String(neighbourhood.place));
  }

  /** One look at the cluster, and at most one change of its servers. `now` is of a monotonic clock. */
  async look(now: Milliseconds): Promise<Seen> {
    const sight: Sight = {
      nodes: await this.#serving.nodes(),
      members: await this.#serving.members(),
      kept: await this.#journal.read(),
    };
    const { operation } = sight.kept.journal;
    let alarm: string | undefined;
    if ((await this.#lease.hold(now)) && !(await this.#keepTime(sight, now))) {
      await bar(this.#serving, this.#neighbourhood.site(), sight, this.#barred);
      const around = this.#surroundings(now);
      if (this.#settings !== undefined) {
        await this.#askCandidates(sight, this.#settings, now);
        const decision = decideRoles(viewOf(sight, around, this.#watch, now), this.#settings);
        alarm = await this.#carryOut(decision, sight);
        await this.#removeOrphans(sight, around, now);
      }
      await this.#keepApps(sight, now);
    } else {
      // Times of watching go on while another acts: this one may have to follow it.
      viewOf(sight, this.#surroundings(now), this.#watch, now);
    }
    return {
      servers: sight.members.filter(({ voter }) => voter).length,
      members: sight.nodes.length,
      nodes: sight.nodes.map((node) => ({
        name: node.name,
        ready: node.ready,
        role: node.labelled ? ('server' as const) : ('agent' as const),
      })),
      busy: operation !== undefined,
      alarm,
    };
  }

  #surroundings(now: Milliseconds): Surroundings {
    const domains = domainsOf(this.#neighbourhood.rosterText());
    return {
      site: this.#neighbourhood.site(),
      domainOf: (place) => domains.get(place) ?? '',
      addressOf: (place) => this.#neighbourhood.siteAddressOf(place),
      fit: (place) => {
        const known = this.#fitness.get(place);
        return known?.fit === true && now - known.at < fitnessCounts;
      },
    };
  }

  /** The journal's clock is time that was watched; true where this look was spent on writing it. */
  async #keepTime({ kept }: Sight, now: Milliseconds): Promise<boolean> {
    if (this.#journalSeen?.version !== kept.version) {
      this.#journalSeen = { version: kept.version, at: now };
      return false;
    }
    const time = now - this.#journalSeen.at;
    if (time < watchedEvery) return false;
    await this.#journal.write(watched(kept.journal, time), kept.version);
    this.#journalSeen = undefined;
    return true;
  }

  /** Asks who could become a server, where one is missing or away. */
  async #askCandidates({ nodes, members }: Sight, settings: RoleSettings, now: Milliseconds): Promise<void> {
    const voters = members.filter(({ voter }) => voter).length;
    if (voters >= settings.servers && nodes.every(({ labelled, ready }) => !labelled || ready)) return;
    const site = this.#neighbourhood.site();
    const places = nodes.flatMap(({ name, ready, labelled }) => {
      const member = site.members.find((one) => one?.name === name);
      return ready && !labelled && member?.eligible && !member.denied ? [member.place] : [];
    });
    const stale = places.filter(
      (place) => now - (this.#fitness.get(place)?.at ?? -fitnessCounts) > fitnessCounts / 2,
    );
    await Promise.all(
      stale.map(async (place) => {
        const { fit, why } = await this.#ask(place, 'fitness', { cluster: this.#cluster }).catch(
          (error: unknown) => ({ fit: false, why: inOneLine(error) }),
        );
        if (!fit) console.log(`k3s: place ${place} cannot become a server: ${why}`);
        // One that is not fit is asked again sooner.
        this.#fitness.set(place, { fit, at: fit ? now : now - fitnessCounts / 2 + 30_000 });
      }),
    );
  }

  async #carryOut(decision: Decision, { kept, nodes, members }: Sight): Promise<string | undefined> {
    const said = JSON.stringify({ ...decision, version: undefined, resourceVersion: undefined });
    if (said !== this.#said && decision.kind !== 'nothing') console.log(`k3s: decided ${said}`);
    this.#said = said;
    switch (decision.kind) {
      case 'nothing':
        return undefined;
      case 'alarm':
        return decision.why;
      case 'journal':
        await this.#journal.write(applyChange(kept.journal, decision.change), decision.version);
        return undefined;
      case 'promote': {
        const request = { cluster: this.#cluster, operation: decision.operation };
        // All of them at once: the time at two voters is the shortest that way.
        await Promise.all(
          decision.places.map((place) =>
            this.#ask(place, 'promote', request).catch((error: unknown) =>
              console.log(`k3s: place ${place} was not told to become a server: ${inOneLine(error)}`),
            ),
          ),
        );
        return undefined;
      }
      case 'delete': {
        const node = nodes.find(({ uid }) => uid === decision.uid);
        const member = members.find(({ address }) => address === node?.address);
        // Deleting a node that nothing ties to its member would leave an orphan voter.
        if (node !== undefined && member !== undefined && node.etcdName !== member.name)
          await this.#serving.removeMember(node, member);
        else await this.#serving.deleteNode(decision);
        return undefined;
      }
    }
  }

  /** An app that cannot be applied is no reason to neglect the servers. */
  async #keepApps({ kept }: Sight, now: Milliseconds): Promise<void> {
    if (now - this.#appsAt < (this.#appsWait === '' ? appsEvery : appsEvery / 6)) return;
    this.#appsAt = now;
    const decided = this.#neighbourhood.dossier().decided?.value.cluster === this.#cluster;
    const mayKeepData = decided || kept.journal.clock >= undecidedFor;
    try {
      const waiting = (await applyApps(await this.#serving.api(), this.#apps, mayKeepData)).join(', ');
      if (waiting !== '' && waiting !== this.#appsWait)
        console.log(`k3s: apps with volumes wait until the site has decided for this cluster: ${waiting}`);
      this.#appsWait = waiting;
    } catch (error) {
      console.error(`k3s: apps: ${inOneLine(error)}`);
    }
  }

  async #removeOrphans(sight: Sight, around: Surroundings, now: Milliseconds): Promise<void> {
    for (const { member, name } of orphansOf(sight, around, this.#watch, now)) {
      // It was added and never started: k3s evicts it by itself.
      if (member.name === '') continue;
      console.log(`k3s: removes the member ${member.name}, which no node would take along`);
      const node = sight.nodes.find((one) => one.name === name) ?? (await this.#serving.makeNode(name));
      await this.#serving.removeMember(node, member);
    }
  }
}

function roleSettings({ servers }: AgentConfig): RoleSettings | undefined {
  if (servers === undefined) return defaultRoles;
  if (servers.count === 1) return undefined;
  return {
    promoteAt: servers.promoteAt,
    servers: servers.count === 5 ? 5 : 3,
    deadAfter: servers.replaceAfter * 60_000,
  };
}

/** Failure domains by place, from the roster's own text: the protocol itself has no use for them. */
function domainsOf(rosterText: string): ReadonlyMap<number, string> {
  const payload = parseJson(rosterText.split('\n')[1] ?? '');
  const places =
    isRecord(payload) && Array.isArray(payload['places']) ? payload['places'].filter(isRecord) : [];
  return new Map(places.map(({ place, domain }) => [Number(place), String(domain ?? '')]));
}
