// The life of two sites, side by side: each forms, and stays the same cluster through all that happens in a shop.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type ClusterView, untilCluster, viewOf } from './cluster.ts';
import { aSite, type NamespaceSite, openSite, until } from './site.ts';

const all = ['n1', 'n2', 'n3'];
const whole = { ready: all, servers: all };
/** As in a shop whose switch lets no broadcast and no multicast through: no beacon is heard. Gone after a power cut. */
const hearing = (rule: '-A' | '-D') =>
  [
    ['iptables', 'broadcast'],
    ['ip6tables', 'multicast'],
  ]
    .map(
      ([tables, kind]) => `${tables} ${rule} INPUT -p udp --dport 5747 -m pkttype --pkt-type ${kind} -j DROP`,
    )
    .join(' && ');

/** The same cluster with the same nodes: nobody was lost and came again. */
function expectSame(view: ClusterView, before: ClusterView): void {
  expect([view.cluster, view.uids]).toEqual([before.cluster, before.uids]);
}
const silent = (site: NamespaceSite, name: string): Promise<string> =>
  viewOf(site, name).then(
    () => 'answers',
    () => 'silent',
  );

aSite('a site and its power', () => {
  let site: NamespaceSite;
  let formed: ClusterView;
  beforeAll(async () => {
    site = await openSite('nspower', 3);
  });
  afterAll(async () => {
    await site?.stop();
  });

  it.sequential('three at once form one cluster with three servers, without router, route or address', async () => {
    await site.powerOn();
    formed = await untilCluster(site, all, whole, 180);
    expect(await site.run('n1', 'ip route show default; ip -6 route show default')).toBe('');
  });

  it.sequential('two of three servers lost: an alarm, nothing touched; back, it is the same', async () => {
    await Promise.all([site.host('n2').powerCut(), site.host('n3').powerCut()]);
    await until(
      'the loss of the quorum',
      60,
      () => silent(site, 'n1'),
      (api) => api === 'silent',
    );
    const status = () => site.run('n1', 'edgekiln-node status');
    await until('the alarm', 150, status, (text) => text.includes('no other server of the cluster answers'));
    const store = await site.run('n1', 'cat /var/lib/rancher/k3s/edgekiln/cluster.json');
    expect(JSON.parse(store)).toMatchObject({ ready: true });
    await Promise.all([site.host('n2').powerOn(), site.host('n3').powerOn()]);
    expectSame(await untilCluster(site, all, whole, 180), formed);
  });

  it.sequential.each([
    ['backwards, long after each other', ['n3', 'n2', 'n1'], 12],
    ['the founder in the middle, all at once', ['n2', 'n1', 'n3'], 0],
  ])('all off, and on again %s', async (_, order, pause) => {
    await Promise.all(all.map((name) => site.host(name).powerCut()));
    for (const name of order) {
      await site.host(name).powerOn();
      await sleep(pause * 1000);
    }
    expectSame(await untilCluster(site, all, whole, 240), formed);
  });
});

aSite('a site and its network', () => {
  let site: NamespaceSite;
  let formed: ClusterView;
  beforeAll(async () => {
    site = await openSite('nsnet', 3);
    await site.powerOn();
    formed = await untilCluster(site, all, whole, 180);
  });
  afterAll(async () => {
    await site?.stop();
  });

  it.sequential('broadcasts are blocked after it has formed: it stays, and comes back from a power cut', async () => {
    for (const name of all) await site.run(name, hearing('-A'));
    await site.host('n2').powerCut();
    await untilCluster(site, ['n1', 'n3'], { ready: ['n1', 'n3'], notReady: ['n2'], servers: all }, 120);
    await site.host('n2').powerOn();
    await site.run('n2', hearing('-A'));
    expectSame(await untilCluster(site, all, whole, 180), formed);
  });

  it.sequential('… and flashed again, a server comes back under its name, into the same cluster, as a server', async () => {
    await site.host('n3').reflash();
    await site.run('n3', hearing('-A'));
    const anew = (view: ClusterView) => view.uids['n3'] !== formed.uids['n3'];
    await until(
      'n3 anew',
      180,
      () => viewOf(site, 'n1'),
      (view) => view.ready.includes('n3') && anew(view),
    );
    const view = await untilCluster(site, all, whole, 240);
    expect(view.cluster).toBe(formed.cluster);
    formed = view;
    for (const name of all) await site.run(name, hearing('-D'));
  });

  it.sequential('DHCP gives other addresses: nothing changes', async () => {
    for (const [index, name] of all.entries())
      await site.run(
        name,
        `ip address add 10.1.0.${index + 10}/24 dev eth0; ip route add default via 10.1.0.1`,
      );
    expectSame(await untilCluster(site, all, whole, 60), formed);
    for (const [index, name] of all.entries())
      await site.run(
        name,
        `ip address flush dev eth0 scope global; ip address add 10.2.0.${index + 40}/24 dev eth0`,
      );
    await sleep(10_000);
    expectSame(await untilCluster(site, all, whole, 60), formed);
  });
});
