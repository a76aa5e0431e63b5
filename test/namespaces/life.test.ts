// The life of a site of three: it forms, and stays the same cluster through all that happens in a shop.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type ClusterView, untilCluster, viewOf } from './cluster.ts';
import { type NamespaceSite, openSite, until } from './site.ts';

const all = ['n1', 'n2', 'n3'];
const whole = { ready: all, servers: all };
/** As in a shop whose switch lets no broadcast of ours through: no beacon is heard. Gone after a power cut. */
const hearing = (rule: '-A' | '-D') =>
  `for v in iptables ip6tables; do $v ${rule} INPUT -p udp --dport 5747 -j DROP || exit 1; done`;
let site: NamespaceSite;
let formed: ClusterView;

beforeAll(async () => {
  site = await openSite('nslife', 3);
});
afterAll(async () => {
  await site?.stop();
});

/** The same cluster with the same nodes: nobody was lost and came again. */
function expectSame(view: ClusterView): void {
  expect([view.cluster, view.uids]).toEqual([formed.cluster, formed.uids]);
}

it('three at once form one cluster with three servers, without router, route or address', async () => {
  await site.powerOn();
  formed = await untilCluster(site, all, whole, 180);
  expect(await site.run('n1', 'ip route show default; ip -6 route show default')).toBe('');
});

it('two of three servers lost: no quorum, nothing touched; back, it is the same', async () => {
  await Promise.all([site.host('n2').powerCut(), site.host('n3').powerCut()]);
  await until(
    'the loss of the quorum',
    60,
    () =>
      viewOf(site, 'n1').then(
        () => 'answers',
        () => 'silent',
      ),
    (api) => api === 'silent',
  );
  await Promise.all([site.host('n2').powerOn(), site.host('n3').powerOn()]);
  expectSame(await untilCluster(site, all, whole, 180));
});

it.each([
  ['in the order they came', ['n1', 'n2', 'n3'], 2],
  ['backwards, long after each other', ['n3', 'n2', 'n1'], 12],
  ['the founder in the middle', ['n2', 'n1', 'n3'], 0],
])('all off, and on again %s', async (_, order, pause) => {
  await Promise.all(all.map((name) => site.host(name).powerCut()));
  for (const name of order) {
    await site.host(name).powerOn();
    await new Promise((resolve) => setTimeout(resolve, pause * 1000));
  }
  expectSame(await untilCluster(site, all, whole, 240));
});

it('broadcasts are blocked after it has formed: it stays, and comes back from a power cut', async () => {
  for (const name of all) await site.run(name, hearing('-A'));
  await site.host('n2').powerCut();
  await untilCluster(site, ['n1', 'n3'], { ready: ['n1', 'n3'], notReady: ['n2'], servers: all }, 120);
  await site.host('n2').powerOn();
  await site.run('n2', hearing('-A'));
  expectSame(await untilCluster(site, all, whole, 180));
  for (const name of all) await site.run(name, hearing('-D'));
});

it('DHCP gives other addresses: nothing changes', async () => {
  for (const [index, name] of all.entries())
    await site.run(
      name,
      `ip address add 10.1.0.${index + 10}/24 dev eth0; ip route add default via 10.1.0.1`,
    );
  expectSame(await untilCluster(site, all, whole, 60));
  for (const [index, name] of all.entries())
    await site.run(
      name,
      `ip address flush dev eth0 scope global; ip address add 10.2.0.${index + 40}/24 dev eth0`,
    );
  await new Promise((resolve) => setTimeout(resolve, 10_000));
  expectSame(await untilCluster(site, all, whole, 60));
});

it('a device that is flashed again comes back under its name, and its dead part of etcd is gone', async () => {
  await site.host('n3').reflash();
  // It is a server again only when the budget of whole operations allows it.
  const view = await until(
    'n3 anew',
    180,
    () => viewOf(site, 'n1'),
    ({ ready, uids }) => ready.join() === all.join() && uids['n3'] !== formed.uids['n3'],
  );
  expect([view.cluster, view.servers.slice(0, 2)]).toEqual([formed.cluster, ['n1', 'n2']]);
});
