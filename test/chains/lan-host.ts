// One host of the LAN chain: formation, join channel and site0 as the agent has them, over a k3s that answers at once.
// It says on stdout what it is, a line of JSON whenever that changes. Arguments: a file of facts, a folder for data.
import { createPublicKey } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ClusterEffect, ClusterEvent, LocalCluster } from '../../firstboot/formation/cluster.ts';
import { Formation } from '../../firstboot/formation/formation.ts';
import { asking, channelOf } from '../../firstboot/join/client.ts';
import { JoinServer } from '../../firstboot/join/server.ts';
import { lanInterfaces } from '../../firstboot/lan/interfaces.ts';
import { NameResponder } from '../../firstboot/lan/mdns.ts';
import { Site0 } from '../../firstboot/lan/site0.ts';
import type { ClusterId, Hash } from '../../firstboot/protocol/terms.ts';
import { run } from '../../formats/programs.ts';

const [facts = '', data = ''] = process.argv.slice(2);
const { stamp, siteKey, mode } = JSON.parse(readFileSync(facts, 'utf8'));
const formation = await Formation.open({
  stamp,
  siteKey: createPublicKey(siteKey),
  recordFile: join(data, 'formation/record'),
  rosterFile: join(data, 'roster'),
});
const site0 = new Site0(
  {
    mode,
    address: formation.siteAddressOf(formation.place),
    match: 'eth*',
    seed: stamp.deviceKey,
  },
  '/',
  run,
);

function answerTo(effect: ClusterEffect): ClusterEvent | undefined {
  switch (effect.kind) {
    case 'makeIdentity': {
      const cluster = `c1c1c1c1c1${formation.place.toString(16).padStart(2, '0')}` as ClusterId;
      return {
        kind: 'identity',
        identity: { cluster, ca: 'ca'.repeat(32) as Hash, founder: formation.place },
      };
    }
    case 'startFounder':
    case 'startMember':
    case 'join':
      writeFileSync(storeFile, effect.identity.cluster);
      return { kind: 'k3sReady', cluster: effect.identity.cluster };
    default:
      return undefined;
  }
}

/** What is on the disk of the k3s that is none. */
const storeFile = join(data, 'store');

const cluster: LocalCluster = {
  store: () =>
    Promise.resolve(existsSync(storeFile) ? (readFileSync(storeFile, 'utf8') as ClusterId) : undefined),
  capable: () => Promise.resolve({ capable: true }),
  carryOut(effect) {
    const answer = answerTo(effect);
    if (answer !== undefined) setTimeout(() => formation.feed(answer), 200);
  },
  view: () => ({ k3s: 'running', role: undefined, doing: undefined, nodes: undefined, problems: [] }),
  stop: () => Promise.resolve(),
};

const refuse = () => Promise.reject(new Error('not here'));
const server = new JoinServer(formation, {
  roster: () => Promise.resolve({ text: formation.rosterText() }),
  dossier: () => Promise.resolve({ dossier: formation.dossier() }),
  clock: refuse,
  admission: refuse,
  standing: refuse,
  fitness: refuse,
  promote: refuse,
  promotion: refuse,
});
await server.listen();
await formation.start(cluster, channelOf(asking(formation)));

const names = new NameResponder(stamp.hostname);
let said = '';
let conflict: string | null = null;
let busy = false;
setInterval(() => {
  const interfaces = lanInterfaces('/sys/class/net');
  formation.look(interfaces);
  names.look(interfaces);
  if (!busy) {
    busy = true;
    site0
      .look(interfaces, performance.now())
      .then(
        () => {
          conflict = null;
        },
        (error: Error) => {
          conflict = error.message;
        },
      )
      .finally(() => {
        busy = false;
      });
  }
  const view = formation.view();
  const words = JSON.stringify({
    phase: view?.phase,
    cluster: view?.cluster,
    seen: view?.places.map(({ seen }) => seen),
    serverHeard: view?.serverHeard,
    site0: site0.interface ?? null,
    conflict,
    addresses: [1, 2, 3].map((place) => formation.addressesOf(place as typeof formation.place)),
  });
  if (words !== said) process.stdout.write(`${words}\n`);
  said = words;
}, 500);
