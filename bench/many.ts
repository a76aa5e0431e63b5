// Whether a site of many hosts forms on one machine: all powered on at once, until all are Ready with three servers.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { viewOf } from '../test/namespaces/cluster.ts';
import { type NamespaceSite, openSite, until } from '../test/namespaces/site.ts';

/** Seconds in which they must have formed. */
const limit = 900;

/** Powers on `count` hosts and says every five seconds how far they are. The last line is JSON; fails if they do not form. */
export async function manyForm(count: number): Promise<void> {
  const site = await openSite('benchmany', count);
  const names = site.places.map(({ name }) => name);
  const before = available();
  let least = before;
  const began = performance.now();
  const seconds = () => Math.round((performance.now() - began) / 1000);
  try {
    await site.powerOn();
    console.log(`${seconds()} s: all are powered on`);
    const founder = await founderOf(site, names);
    for (;;) {
      least = Math.min(least, available());
      const view = await viewOf(site, founder).catch(() => undefined);
      const load = readFileSync('/proc/loadavg', 'utf8').split(' ')[0];
      const seen =
        view === undefined ? 'no answer' : `${view.ready.length} ready, ${view.servers.length} servers`;
      console.log(`${seconds()} s: ${seen}, ${Math.round(before - least)} MB, load ${load}`);
      if (view?.ready.length === count && view.servers.length === 3) break;
      if (seconds() > limit) throw new Error(`${count} hosts did not form within ${limit} s`);
      await sleep(5000);
    }
    console.log(JSON.stringify({ hosts: count, formed_s: seconds(), used_mb: Math.round(before - least) }));
  } finally {
    await site.stop();
  }
}

/** The host that has the keys of a cluster first. */
async function founderOf(site: NamespaceSite, names: readonly string[]): Promise<string> {
  const found = await until(
    'a founder',
    300,
    async () => {
      await sleep(3000);
      const looks = await Promise.allSettled(
        names.map((name) => site.run(name, 'ls /etc/rancher/k3s/k3s.yaml')),
      );
      return names.find((_, index) => looks[index]?.status === 'fulfilled');
    },
    (name) => name !== undefined,
  );
  return found ?? '';
}

/** Megabytes of memory that programs can still have. */
function available(): number {
  return Number(/MemAvailable:\s+(\d+)/.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]) / 1024;
}
