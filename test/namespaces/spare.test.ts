// Servers that die, and those that are left: a spare board takes the place of one that is dead for long; a worker that
// knew only the dead one finds the others.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { firstServer, untilCluster, viewOf } from './cluster.ts';
import { aSite, type NamespaceSite, openSite, until } from './site.ts';

const four = ['n1', 'n2', 'n3', 'n4'];

aSite('a site with a spare board', () => {
  let site: NamespaceSite;
  beforeAll(async () => {
    site = await openSite('nsspare', 4, { replaceAfter: 1 });
    await site.powerOn();
  });
  afterAll(async () => {
    await site?.stop();
  });

  it.sequential('a server that is dead for long is replaced; back again, it is a worker of the same cluster', async () => {
    const founded = await until(
      'three servers',
      180,
      () => viewOf(site, 'n1').catch(() => viewOf(site, 'n2')),
      ({ servers, ready }) => servers.length === 3 && ready.length === 4,
    );
    const [dead = '', ...alive] = founded.servers;
    const spare = four.filter((name) => !founded.servers.includes(name));
    await site.host(dead).powerCut();
    const servers = [...alive, ...spare].sort();
    // The grace of a minute, and at most five more.
    const replaced = await untilCluster(site, alive, { ready: servers, servers }, 360);
    expect(replaced.cluster).toBe(founded.cluster);
    await site.host(dead).powerOn();
    const after = await untilCluster(site, servers, { ready: four, servers }, 240);
    expect(after.cluster).toBe(founded.cluster);
  });
});

aSite('a site with a worker that missed something', () => {
  let site: NamespaceSite;
  beforeAll(async () => {
    site = await openSite('nsmissed', 4);
    await site.powerOn('n1', 'n2');
  });
  afterAll(async () => {
    await site?.stop();
  });

  /** Holds the k3s of a host as it is, or lets it go on: what happens meanwhile it does not learn. */
  const signal = (name: string, what: 'STOP' | 'CONT') =>
    site.run(
      name,
      `for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline 2>/dev/null | grep -q 'k3s [a]gent' && kill -${what} "\${p#/proc/}"; done; true`,
    );

  it.sequential('whose only known server dies, is let in by another one', async () => {
    const founder = await firstServer(site, ['n1', 'n2']);
    const worker = founder === 'n1' ? 'n2' : 'n1';
    await untilCluster(site, [founder], { ready: ['n1', 'n2'], servers: [founder] }, 120);
    await signal(worker, 'STOP');
    const away = { ready: [founder], notReady: [worker], servers: [founder] };
    const before = await untilCluster(site, [founder], away, 120);
    await site.powerOn('n3', 'n4');
    const servers = [founder, 'n3', 'n4'].sort();
    await untilCluster(site, servers, { ready: servers, notReady: [worker], servers }, 240);
    await site.host(founder).powerCut();
    await signal(worker, 'CONT');
    const left = { ready: [worker, 'n3', 'n4'].sort(), notReady: [founder], servers };
    await untilCluster(site, ['n3', 'n4'], left, 240);
    await site.host(founder).powerOn();
    const after = await untilCluster(site, servers, { ready: four, servers }, 240);
    expect([after.cluster, after.uids[worker]]).toEqual([before.cluster, before.uids[worker]]);
  });
});
