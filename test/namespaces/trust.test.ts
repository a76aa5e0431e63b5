// Who may not: another site on the same LAN, a device with somebody else's address, a worker, a device that is barred.
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, type TestContext } from 'vitest';
import { firstServer, untilCluster } from './cluster.ts';
import { type NamespaceSite, onSites, openSite, until } from './site.ts';

/** Sites side by side; those on one LAN end before the one that has the switch. */
async function open(
  { onTestFinished }: Pick<TestContext, 'onTestFinished'>,
  ...given: Parameters<typeof openSite>
): Promise<NamespaceSite> {
  const site = await openSite(...given);
  onTestFinished(() => site.stop());
  return site;
}

/** Makes the agent of a host start anew: as the unit does, it comes back after three seconds. */
const restartAgent = `for p in /proc/[0-9]*; do grep -qa '[e]dgekiln-node.mjs' $p/cmdline 2>/dev/null && kill "\${p#/proc/}"; done; true`;

const siteAddress = async (site: NamespaceSite, name: string): Promise<string> => {
  const shown = await site.run(name, 'ip -4 -o address show dev site0');
  return / inet ([\d.]+)\//.exec(shown)?.[1] ?? '';
};

onSites('two sites on one LAN are two clusters, and neither hears the other', async (test) => {
  const one = await open(test, 'nsours', 2);
  const other = await open(test, 'nstheirs', 2, { prefix: 'm', lab: one.lab });
  await Promise.all([one.powerOn(), other.powerOn()]);
  const ours = await untilCluster(
    one,
    [await firstServer(one, ['n1', 'n2'])],
    { ready: ['n1', 'n2'], servers: 1 },
    240,
  );
  const theirs = await untilCluster(
    other,
    [await firstServer(other, ['m1', 'm2'])],
    { ready: ['m1', 'm2'], servers: 1 },
    240,
  );
  expect(ours.cluster).not.toBe(theirs.cluster);
});

onSites('an address of the site that somebody else has: an alarm, and no second choice', async (test) => {
  const site = await open(test, 'nsclash', 2);
  const thief = await open(test, 'nsthief', 1, { prefix: 'm', lab: site.lab });
  await Promise.all([site.powerOn('n1'), thief.powerOn('m1')]);
  await until(
    'site0',
    60,
    () => siteAddress(site, 'n1'),
    (address) => address !== '',
  );
  const wanted = (await siteAddress(site, 'n1')).replace(/\.1$/, '.2');
  await thief.run('m1', `ip address add ${wanted}/24 dev eth0`);
  await site.powerOn('n2');
  const status = () => site.run('n2', 'edgekiln-node status');
  await until('the alarm', 60, status, (text) => text.includes(wanted) && /problem/.test(text));
  expect(await site.run('n2', 'ip -4 -o address show dev site0')).not.toContain('inet');
  await thief.run('m1', `ip address del ${wanted}/24 dev eth0`);
  await until(
    'its address',
    120,
    () => siteAddress(site, 'n2'),
    (address) => address === wanted,
  );
});

onSites(
  'a worker has not the server token, cannot fetch it, and stays out once it is barred',
  async (test) => {
    const site = await open(test, 'nsworker', 4);
    const servers = ['n1', 'n2', 'n3'];
    await site.powerOn(...servers);
    const founder = await firstServer(site, servers);
    await untilCluster(site, servers, { ready: servers, servers }, 240);
    const worker = 'n4';
    await site.powerOn(worker);
    const view = await untilCluster(site, [founder], { ready: [...servers, worker], servers }, 120);

    const [token = ''] = (await site.run(founder, 'cat /var/lib/rancher/k3s/server/token'))
      .split('::server:')
      .slice(-1);
    expect(token.length).toBeGreaterThan(15);
    const everywhere = '/var/lib/rancher /var/lib/edgekiln /var/lib/kubelet /etc /run';
    const search = `grep -rlF '${token}' ${everywhere} --exclude-dir=slot 2>/dev/null || true`;
    expect(await site.run(founder, search)).not.toBe('');
    expect(await site.run(worker, search)).toBe('');
    const server = await siteAddress(site, founder);
    /** The status that `server-bootstrap` answers; an answer that is lost is none. */
    const ask = (credentials: string) =>
      until(
        'an answer',
        30,
        () =>
          site.run(
            worker,
            `curl -s -k -m 10 -o /dev/null -w '%{http_code}' ${credentials} https://${server}:6443/v1-k3s/server-bootstrap`,
          ),
        (status) => status !== '000' && !status.startsWith('5'),
      );
    const agent = '/var/lib/rancher/k3s/agent';
    expect(await ask(`--cert ${agent}/client-kubelet.crt --key ${agent}/client-kubelet.key`)).toMatch(
      /40[13]/,
    );
    expect(await ask(`-u server:${token.slice(0, -1)}`)).toMatch(/40[13]/);
    expect(await ask(`-u server:${token}`)).toBe('200');

    // The profile loses its last device: the next roster denies its key. It reaches one server, and from there the others.
    const roster = await site.rosterOf(3);
    await site.run(founder, `cat >/var/lib/edgekiln/roster <<'END'\n${roster}END\n${restartAgent}`);
    await untilCluster(site, [founder], { ready: servers, servers }, 180);
    await site.host(worker).reset();
    // Long enough to join, if it could: then it would be a node, and stay one.
    await sleep(60_000);
    const after = await untilCluster(site, [founder], { ready: servers, servers }, 60);
    expect(after.cluster).toBe(view.cluster);
  },
);
