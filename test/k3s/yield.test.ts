// A cluster is given up only if it is empty: the agent's look into the store of a stopped server, and its retirement.
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { isReady } from './asked.ts';
import { closeNetwork, Host, openNetwork, until } from './hosts.ts';

let host: Host;
beforeAll(() => {
  openNetwork();
  host = new Host(1);
});
afterAll(async () => await closeNetwork([host]));

const device = (verb: 'make' | 'apps' | 'look' | 'retire'): Promise<string> =>
  host.runScript(new URL('./device.ts', import.meta.url), verb, host.name, host.address);
const notes = '/api/v1/namespaces/default/configmaps';

async function start(): Promise<void> {
  host.start('server');
  await until('the API', () => host.api('GET', '/readyz').status === 200);
  await until('the node is Ready', () => isReady(host, 'n1'));
}
/** The hash by which k3s names a cluster. */
const shown = (): string =>
  createHash('sha256')
    .update(host.ask(`https://${host.address}:6443/cacerts`).body)
    .digest('hex');
let ca: string;

it('k3s serves with the authorities that were made for it', async () => {
  ca = await device('make');
  await start();
  expect(shown()).toBe(ca);
});

it("the image's apps are applied, changed and pruned", async () => {
  const said = (await device('apps')).split('\n').at(-1) ?? '';
  expect(JSON.parse(said)).toEqual([
    [
      ['one', '2'],
      ['two', '2'],
    ],
    [['one', '1']],
  ]);
});

it('nobody put anything into it: it is empty, and looking changes nothing', async () => {
  await host.kill();
  expect(await device('look')).toBe('empty');
  expect(await device('look')).toBe('empty');
});

it('what a person put there is found, and named', async () => {
  await start();
  expect(host.api('POST', notes, { metadata: { name: 'note' }, data: { a: '1' } }).status).toBe(201);
  await host.kill();
  expect(await device('look')).toBe('configmaps default/note');
  await start();
  expect(host.api('DELETE', `${notes}/note`).status).toBe(200);
  await host.kill();
  expect(await device('look')).toBe('empty');
});

it('set aside, nothing of it is deleted; what is founded then is another cluster', async () => {
  const cluster = await device('retire');
  const aside = host.path(`/var/lib/rancher/retired/${cluster}/server/db/etcd/member/wal`);
  expect([existsSync(aside), existsSync(host.path('/var/lib/rancher/k3s/server'))]).toEqual([true, false]);
  const next = await device('make');
  expect(next).not.toBe(ca);
  await start();
  expect(shown()).toBe(next);
});
