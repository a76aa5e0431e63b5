// A spare board takes the place of a server that is dead for long.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { untilCluster, viewOf } from './cluster.ts';
import { aSite, type NamespaceSite, openSite, until } from './site.ts';

aSite('a site with a spare board', () => {
  const four = ['n1', 'n2', 'n3', 'n4'];
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
