// Hosts in namespaces: what the agent needs from a LAN passes, faults do what they say, a power cut spares nobody, and
// nothing stays behind.
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { groupsOf } from '../../lab/namespaces/groups.ts';
import { type NamespaceSite, openSite, until } from './site.ts';

let site: NamespaceSite;

beforeAll(async () => {
  site = await openSite('nslab', 3);
  await site.powerOn();
});
afterAll(async () => {
  await site?.stop();
});

/** A broadcast heard within five seconds, as its text; `-` if none was. */
const hear = (port: number) =>
  `node -e "const s=require('dgram').createSocket({type:'udp4',reuseAddr:true});s.bind(${port});s.on('message',m=>{console.log(String(m));process.exit()});setTimeout(()=>{console.log('-');process.exit()},5000)"`;
/** Broadcasts a text again and again, in the background. Says its process once it has begun. */
const speak = (port: number, text: string) =>
  `node -e "const s=require('dgram').createSocket('udp4');s.bind(()=>{s.setBroadcast(true);setInterval(()=>s.send('${text}',${port},'255.255.255.255',()=>require('fs').writeFileSync('/run/spoke-${port}','')),100)})" >/dev/null 2>&1 &
  until [ -e /run/spoke-${port} ]; do sleep 0.1; done; echo $!`;

/** What n2 and n3 hear while n1 broadcasts. */
async function broadcast(port: number, text: string): Promise<string[]> {
  const speaker = await site.run('n1', speak(port, text));
  try {
    return await Promise.all(['n2', 'n3'].map((name) => site.run(name, hear(port))));
  } finally {
    await site.run('n1', `kill ${speaker}`);
  }
}

it('each have a name, addresses, data and an identity of their own', async () => {
  for (const { name } of site.places) await site.host(name).console.waitFor(/slot A, healthy/, 180_000);
  expect(await site.run('n2', 'hostname')).toBe('n2');
  const ids = await Promise.all(site.places.map(({ name }) => site.run(name, 'cat /etc/machine-id')));
  expect(new Set(ids).size).toBe(3);
  expect(await site.run('n3', 'edgekiln-node status')).toContain('n3 (place 3 of nslab)');
  // Nothing of this machine can be written, and nobody may set its clock.
  await expect(site.run('n1', 'touch /bin/x /sbin/y /x')).rejects.toThrow('Read-only file system');
  await expect(site.run('n1', 'date -s "$(date)"')).rejects.toThrow('cannot set date');
});

it('hear broadcasts, unless a way is cut', async () => {
  const addresses = site.places.map(({ name }, index) =>
    site.run(name, `ip address add 192.168.7.${index + 1}/24 dev eth0; ip route replace default dev eth0`),
  );
  await Promise.all(addresses);
  expect(await broadcast(6001, 'hello')).toEqual(['hello', 'hello']);
  site.lab.lan.setFault('n1', 'n3', { cut: true });
  expect(await broadcast(6002, 'you')).toEqual(['you', '-']);
  site.lab.lan.setFault('n1', 'n2', { lose: 1 });
  expect(await broadcast(6003, 'nobody')).toEqual(['-', '-']);
  site.lab.lan.heal();
  expect(await broadcast(6004, 'again')).toEqual(['again', 'again']);
});

it('wait for what is late', async () => {
  const ask = `node -e "const t=performance.now();fetch('http://192.168.7.2/').then(()=>console.log(Math.round(performance.now()-t)))"`;
  /** Milliseconds, once it is as wanted. */
  const takes = (what: string, wanted: (milliseconds: number) => boolean) =>
    until(what, 20, async () => Number(await site.run('n1', ask)), wanted);
  await takes('the page', (took) => took > 0);
  site.lab.lan.setFault('n2', 'n1', { delay: 2000 });
  // The handshake's answer, and the page.
  expect(await takes('the late page', (took) => took > 0)).toBeGreaterThanOrEqual(4000);
  site.lab.lan.heal('n1', 'n2');
  await takes('the page as before', (took) => took > 0 && took < 2000);
});

it('keep their data over a power cut, but no process; flashed again they begin anew', async () => {
  const host = site.host('n2');
  await site.run(
    'n2',
    'echo kept >/var/lib/edgekiln/mark; echo gone >/etc/mark; setsid sleep 1000 >/dev/null 2>&1 &',
  );
  await until(
    'the stray',
    5,
    async () => strays(),
    (count) => count === 1,
  );
  await host.powerCut();
  expect([host.pid(), strays()]).toEqual([undefined, 0]);
  expect(groupsOf('nslab').filter((group) => group.endsWith('@n2'))).toEqual([]);
  await host.powerOn();
  await until(
    'its data',
    10,
    () => site.run('n2', 'cat /var/lib/edgekiln/mark'),
    (text) => text === 'kept',
  );
  await expect(site.run('n2', 'cat /etc/mark')).rejects.toThrow('No such file');
  await host.reflash();
  const status = () => site.run('n2', 'edgekiln-node status');
  await until('its agent', 20, status, (text) => text.includes('n2 (place 2 of nslab)'));
  await expect(site.run('n2', 'cat /var/lib/edgekiln/mark')).rejects.toThrow('No such file');
});

it('leave nothing behind', async () => {
  await site.stop();
  expect(groupsOf('nslab')).toEqual([]);
  expect(
    readdirSync('/sys/class/net').filter((name) => name.startsWith(`ek${process.pid.toString(36)}.`)),
  ).toEqual([]);
});

/** Processes of the test's own that are still there. */
function strays(): number {
  const lines = readdirSync('/proc').map((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    } catch {
      return '';
    }
  });
  return lines.filter((line) => line === 'sleep\x001000\0').length;
}
