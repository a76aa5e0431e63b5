// The join channel between devices, strangers, and thieves: real TLS over loopback.
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { connect as connectTcp, type Socket } from 'node:net';
import { type ConnectionOptions, connect, createServer, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { Neighbourhood } from '../../firstboot/formation/cluster.ts';
import { asking, channelOf } from '../../firstboot/join/client.ts';
import { frame } from '../../firstboot/join/framing.ts';
import { tlsSettings } from '../../firstboot/join/peer.ts';
import { type Answers, JoinServer } from '../../firstboot/join/server.ts';
import { Refused } from '../../firstboot/join/words.ts';
import type { Member, Site } from '../../firstboot/protocol/site.ts';
import type { ClusterId, Hash, PublicKey } from '../../firstboot/protocol/terms.ts';
import { type Place, place } from '../../formats/roster.ts';

const cluster = '0123456789ab' as ClusterId;
const keys = [1, 2, 3].map(() => generateKeyPairSync('ed25519'));
const stranger = generateKeyPairSync('ed25519');
const keyOf = (index: number): KeyObject => {
  const pair = keys[index - 1];
  if (pair === undefined) throw new Error('no such device');
  return pair.privateKey;
};
const rawKey = (index: number): PublicKey => {
  const x = keys[index - 1]?.publicKey.export({ format: 'jwk' }).x ?? '';
  return Buffer.from(x, 'base64url').toString('hex') as PublicKey;
};

const denied = new Set<number>();
function site(): Site {
  const members: (Member | undefined)[] = [1, 2, 3].map((index) => ({
    place: place(index),
    name: `shop-0${index}`,
    key: rawKey(index),
    eligible: true,
    class: 0,
    denied: denied.has(index),
  }));
  return {
    name: 'quickstart',
    epoch: 1,
    hash: 'aa'.repeat(32) as Hash,
    previous: undefined,
    policy: { kind: 'first-online' },
    claimed: false,
    refound: false,
    members: [undefined, ...members],
    electors: [1, 2, 3].map(place),
    slots: [-1, 0, 1, 2],
    rosterElectors: 'e'.repeat(16) as Site['rosterElectors'],
    deniedKeys: [],
    electorsHash: '00'.repeat(8) as Site['electorsHash'],
    quorum: 2,
  };
}

const neighbourhood = (index: number, address = '127.0.0.1'): Neighbourhood => ({
  place: place(index),
  deviceKey: keyOf(index),
  site,
  rosterText: () => 'edgekiln roster 1\n',
  dossier: () => ({ generation: 1, past: [], decided: undefined }),
  addressesOf: () => [address],
  siteAddressOf: (of: Place) => `198.18.0.${of}`,
});

const asked: string[] = [];
const answers: Answers = {
  roster: async (asker) => {
    asked.push(`roster ${asker.name}`);
    return { text: 'edgekiln roster 1\n' };
  },
  dossier: async () => ({ dossier: { generation: 1, past: [], decided: undefined } }),
  clock: async () => ({ now: 12 }),
  admission: async (asker, request) => {
    if (request.cluster !== cluster) throw new Refused('this is another cluster');
    asked.push(`admission ${asker.name}`);
    return { ca: 'ab'.repeat(32) as Hash, token: 'K10::x', servers: ['https://198.18.0.1:6443'] };
  },
  standing: async () => ({ standing: 'server' }),
  fitness: async () => ({ fit: true, why: '' }),
  promote: async () => ({ doing: 'starts' }),
  promotion: async () => {
    throw new Error('secret detail');
  },
};

const server = new JoinServer(neighbourhood(1), answers);
let port = 0;
beforeAll(async () => {
  port = await server.listen(0);
});
afterAll(() => server.close());

/** Bytes and end of a connection made by hand. */
function talk(socket: Socket, say?: Uint8Array): Promise<string> {
  onTestFinished(() => void socket.destroy());
  return new Promise((resolve) => {
    let heard = '';
    socket.on('data', (bytes) => {
      heard += bytes.toString('latin1');
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(heard));
    const ready = 'getProtocol' in socket ? 'secureConnect' : 'connect';
    if (say !== undefined) socket.on(ready, () => socket.write(say));
  });
}

const dial = (options: ConnectionOptions): TLSSocket =>
  connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });

test('devices of the roster ask and are answered', async () => {
  const ask = asking(neighbourhood(2), port);
  expect(await channelOf(ask).roster(place(1))).toBe('edgekiln roster 1\n');
  expect(await channelOf(ask).dossier(place(1))).toEqual({ generation: 1, past: [], decided: undefined });
  expect(await ask(place(1), 'clock', {})).toEqual({ now: 12 });
  const request = { cluster, rejected: false, removed: false };
  expect(await ask(place(1), 'admission', request)).toMatchObject({ token: 'K10::x' });
  await expect(
    ask(place(1), 'admission', { ...request, cluster: 'ffffffffffff' as ClusterId }),
  ).rejects.toThrow('this is another cluster');
});

test('what goes wrong inside is not told', async () => {
  const ask = asking(neighbourhood(2), port);
  await expect(ask(place(1), 'promotion', { cluster, operation: 1 })).rejects.toThrow(
    'it cannot be answered now',
  );
});

test('a stranger, a client without certificate, an RSA one and one of TLS 1.2 are not heard', async () => {
  const before = asked.length;
  const request = frame({ kind: 'roster', request: {} });
  const strange = tlsSettings(stranger.privateKey);
  expect(await talk(dial(strange), request)).toBe('');
  expect(await talk(dial({}), request)).toBe('');
  expect(
    await talk(dial({ ...tlsSettings(keyOf(2)), minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' }), request),
  ).toBe('');
  expect(await talk(connectTcp(port, '127.0.0.1'), Buffer.from('GET / HTTP/1.1\r\n\r\n'))).not.toContain(
    'HTTP',
  );
  expect(asked.length).toBe(before);
  // The same by hand with a key of the roster is heard.
  expect(await talk(dial(tlsSettings(keyOf(2))), request)).toContain('edgekiln roster 1');
  expect(asked.slice(before)).toEqual(['roster shop-02']);
});

test('a server with another key than the roster has hears nothing', async () => {
  let heard = 0;
  const impostor = createServer({ ...tlsSettings(keyOf(3)), requestCert: true }, (socket) => {
    socket.on('data', () => {
      heard += 1;
    });
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => impostor.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void impostor.close());
  const address = impostor.address();
  const at = typeof address === 'object' && address !== null ? address.port : 0;
  await expect(asking(neighbourhood(2), at)(place(1), 'clock', {})).rejects.toThrow(
    'shop-01 cannot be reached (127.0.0.1: another key than the roster has)',
  );
  expect(heard).toBe(0);
});

test('no session is resumed', async () => {
  const settings = tlsSettings(keyOf(2));
  const session = await new Promise<Buffer | undefined>((resolve) => {
    const first = dial(settings);
    first.on('session', (one) => resolve(one));
    first.on('close', () => resolve(undefined));
    void talk(first, frame({ kind: 'clock', request: {} }));
  });
  // Whatever the server sent of a session, coming back with it is a whole handshake again.
  expect(session).toBeDefined();
  const reused: boolean[] = [];
  const second = dial({ ...settings, session });
  second.on('secureConnect', () => reused.push(second.isSessionReused()));
  expect(await talk(second, frame({ kind: 'clock', request: {} }))).toContain('12');
  expect(reused).toEqual([false]);
  // A server that does resume shows why: the certificate is not there to be compared.
  const { secureOptions: _, ...lax } = tlsSettings(keyOf(1));
  const careless = createServer({ ...lax, requestCert: true }, (socket) => socket.end('x'));
  await new Promise<void>((resolve) => careless.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void careless.close());
  const address = careless.address();
  const at = typeof address === 'object' && address !== null ? address.port : 0;
  const { secureOptions: __, ...client } = settings;
  const ticket = await new Promise<Buffer>((resolve) => {
    const first = dial({ ...client, port: at });
    first.on('session', resolve);
    void talk(first);
  });
  const again = dial({ ...client, port: at, session: ticket });
  again.on('secureConnect', () => reused.push(again.isSessionReused()));
  await talk(again);
  expect(reused).toEqual([false, true]);
});

test('a device that is denied is a stranger from then on, in both directions', async () => {
  denied.add(3);
  onTestFinished(() => void denied.delete(3));
  const before = asked.length;
  expect(await talk(dial(tlsSettings(keyOf(3))), frame({ kind: 'roster', request: {} }))).toBe('');
  expect(asked.length).toBe(before);
  await expect(asking(neighbourhood(2), port)(place(3), 'clock', {})).rejects.toThrow('shop-03 is denied');
});

test('nonsense, too much and half a request end in nothing, or in words', async () => {
  const settings = tlsSettings(keyOf(2));
  expect(await talk(dial(settings), frame({ kind: 'toString' }))).toContain('this is not known here');
  expect(await talk(dial(settings), frame({ kind: 'admission', request: { cluster: 7 } }))).toContain(
    'the request has another form',
  );
  expect(await talk(dial(settings), frame('x'.repeat(100_000)))).toBe('');
});

test('a flood from one address neither stops others nor is served', async () => {
  const sockets = Array.from({ length: 300 }, () =>
    connectTcp({ port, host: '127.0.0.1', localAddress: '127.0.0.9' }),
  );
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
  });
  let hungUp = 0;
  for (const socket of sockets) {
    socket.on('error', () => {});
    socket.on('close', () => {
      hungUp += 1;
    });
    socket.resume();
  }
  await expect.poll(() => hungUp, { timeout: 30_000 }).toBeGreaterThan(280);
  expect(await asking(neighbourhood(3), port)(place(1), 'clock', {})).toEqual({ now: 12 });
});

test('many addresses that say nothing do not keep a device out', async () => {
  const sockets = Array.from({ length: 120 }, (_, index) =>
    connectTcp({ port, host: '127.0.0.1', localAddress: `127.0.1.${index + 1}` }),
  );
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
  });
  const open = new Set(sockets);
  for (const socket of sockets) {
    socket.on('error', () => {});
    socket.on('close', () => open.delete(socket));
    socket.resume();
  }
  await expect.poll(() => open.size, { timeout: 30_000 }).toBeLessThanOrEqual(48);
  expect(await asking(neighbourhood(3), port)(place(1), 'clock', {})).toEqual({ now: 12 });
});
