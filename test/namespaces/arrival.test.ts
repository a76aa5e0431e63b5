// Boards arrive one by one or all at once, and the founder dies at the worst moments.
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, type TestContext } from 'vitest';
import { firstServer, untilCluster, viewOf } from './cluster.ts';
import { type NamespaceSite, onSites, openSite, until } from './site.ts';

const all = ['n1', 'n2', 'n3'];

/** Sites of their own, side by side. */
async function open(
  { onTestFinished }: Pick<TestContext, 'onTestFinished'>,
  ...given: Parameters<typeof openSite>
): Promise<NamespaceSite> {
  const site = await openSite(...given);
  onTestFinished(() => site.stop());
  return site;
}

onSites('one by one: the first is a cluster by itself, the third makes it three servers', async (test) => {
  const site = await open(test, 'nsone', 3);
  await site.powerOn('n2');
  const alone = await untilCluster(site, ['n2'], { ready: ['n2'], servers: ['n2'] }, 180);
  await site.powerOn('n3');
  await untilCluster(site, ['n2'], { ready: ['n2', 'n3'], servers: ['n2'] }, 120);
  await site.powerOn('n1');
  const whole = await untilCluster(site, all, { ready: all, servers: all }, 180);
  expect(whole.cluster).toBe(alone.cluster);
});

onSites('five at once: one cluster, three servers, two workers', async (test) => {
  const site = await open(test, 'nsfive', 5);
  await site.powerOn();
  const five = ['n1', 'n2', 'n3', 'n4', 'n5'];
  const founder = await firstServer(site, five);
  const view = await untilCluster(site, [founder], { ready: five, servers: 3 }, 240);
  expect(view.servers).toContain(founder);
  await untilCluster(site, view.servers, { ready: five, servers: view.servers }, 60);
});

onSites.for([
  ['before the promotion', 1],
  ['during the promotion', 2],
  ['right after the promotion', 3],
] as const)(
  'the founder is killed %s and comes back: the same cluster, three servers',
  async ([, moment], test) => {
    const site = await open(test, `nskill${moment}`, 3);
    await site.powerOn();
    const founder = await firstServer(site, all);
    const host = site.host(founder);
    const before = await until(
      'its cluster',
      60,
      () => viewOf(site, founder),
      (view) => view.servers.length > 0,
    );
    if (moment === 2) await host.console.waitFor(/decided \{"kind":"promote"/, 360_000);
    if (moment === 3) {
      await until(
        'three voters',
        120,
        () => viewOf(site, founder),
        ({ servers }) => servers.length === 3,
      );
    }
    await host.powerCut();
    await sleep(20_000);
    await host.powerOn();
    const after = await untilCluster(site, all, { ready: all, servers: all }, 300);
    expect(after.cluster).toBe(before.cluster);
  },
);

onSites(
  'the founder dies before there is a second server: nobody founds another cluster; it returns, all is well',
  async (test) => {
    const site = await open(test, 'nsdead', 3);
    await site.powerOn('n1', 'n2');
    const founder = await firstServer(site, ['n1', 'n2']);
    const before = await untilCluster(site, [founder], { ready: ['n1', 'n2'], servers: [founder] }, 180);
    const status = () => site.run(founder, 'edgekiln-node status');
    await until('the decision', 60, status, (text) => /, decided\n/.test(text));
    await site.host(founder).powerCut();
    await site.powerOn('n3');
    // Longer than a board waits before it founds where nobody answers.
    await sleep(90_000);
    for (const name of all.filter((one) => one !== founder)) {
      await expect(viewOf(site, name), name).rejects.toThrow();
    }
    await site.host(founder).powerOn();
    const after = await untilCluster(site, all, { ready: all, servers: all }, 300);
    expect(after.cluster).toBe(before.cluster);
  },
);
