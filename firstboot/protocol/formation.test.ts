// The document says what the code does; the code keeps to what the core may use.
import { createHash, createPrivateKey } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { place } from '../../formats/roster.ts';
import { scheduleSchema } from '../../lab/simulated/schedule.ts';
import { siteFor } from '../../lab/simulated/site.ts';
import { rawKey } from '../formation/keys.ts';
import { decode, encode, kinds } from './codec.ts';
import { stateDiagram, transitionTable } from './diagram.ts';
import { ed25519 } from './ed25519.ts';
import { Envelopes } from './envelope.ts';
import { fields } from './fields.ts';
import { acceptanceStatement, lossStatement } from './signatures.ts';
import type { Site } from './site.ts';
import type { ClusterId, Hash, Incarnation, ShortHash } from './terms.ts';
import * as timings from './timings.ts';

const document = readFileSync(new URL('../../docs/formation.md', import.meta.url), 'utf8');

describe('docs/formation.md', () => {
  it('shows the states as the code has them', () => {
    expect(document).toContain(`\`\`\`mermaid\n${stateDiagram()}\n\`\`\``);
    expect(document).toContain(transitionTable());
  });
  it('lists every timing with its value in seconds', () => {
    for (const [name, value] of Object.entries(timings)) {
      const seconds = value / 1000;
      expect(document, name).toContain(`| \`${name}\` | ${seconds} |`);
    }
  });
});

describe('the bytes in docs/formation.md', () => {
  const site = {
    name: 'shop-7',
    tag: createHash('sha256').update('shop-7').digest('hex').slice(0, 16) as ShortHash,
  };
  const samples: [string, string, string][] = [
    ...document.matchAll(/^\| (\w+) \| `(01[0-9a-f]{80,})` \|$/gm),
  ].map(([line, kind = '', hex = '']) => [line, kind, hex]);
  it('has a sample of every kind', () => {
    expect(samples.map(([, kind]) => kind)).toEqual([...kinds]);
  });
  it.each(samples)('%s', (_, kind, hex) => {
    const message = decode(Buffer.from(hex, 'hex'), site);
    if (typeof message === 'string') throw new Error(message);
    expect(message.body.kind).toBe(kind);
    expect(message).toMatchObject({ from: 3, to: 0, boot: 0x0a0b0c0d0e0f, sequence: 258, generation: 1 });
    expect(encode(message, site).toString('hex')).toBe(hex);
  });
  it('lists every field under its tag', () => {
    for (const [name, { tag }] of Object.entries(fields))
      expect(document).toContain(`| ${tag} | \`${name}\` |`);
  });
  it('has a datagram that its key signed', () => {
    const [, hex = ''] = /^`([0-9a-f]{200,})`$/m.exec(document) ?? [];
    const datagram = Buffer.from(hex, 'hex');
    const seed = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.alloc(32, 2)]);
    const key = createPrivateKey({ key: seed, format: 'der', type: 'pkcs8' });
    const message = decode(datagram.subarray(8, -64), site);
    if (typeof message === 'string') throw new Error(message);
    expect(new Envelopes(site, Buffer.alloc(32, 1)).seal(message, key).toString('hex')).toBe(hex);
    const body = samples.find(([, kind]) => kind === 'recover')?.[2];
    expect(datagram.subarray(8, -64).toString('hex')).toBe(body);
  });
});

describe('the signed words in docs/formation.md', () => {
  const digest = (text: string) => createHash('sha256').update(text).digest('hex');
  const seed = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.alloc(32, 2)]);
  const key = createPrivateKey({ key: seed, format: 'der', type: 'pkcs8' });
  const rows = [...document.matchAll(/^\| `(\w+\\\|edgekiln[^`]*)` \| `([0-9a-f]{128})` \|$/gm)].map(
    ([, words = '', signature]) => [words.replaceAll('\\|', '|'), signature],
  );
  it('are what the code signs, and are signed so', () => {
    const name = 'shop-7';
    const electorsHash = digest(`electors|${name}|1,2,3`).slice(0, 16) as ShortHash;
    const three = siteFor(scheduleSchema.parse({ version: 1, devices: 3, schedule: [] }));
    const site: Site = { ...three, name, electorsHash };
    const incarnation = 0x010203040506 as Incarnation;
    const value = { cluster: 'aabbccddeeff' as ClusterId, ca: 'ca'.repeat(32) as Hash, founder: place(3) };
    const ballot = { round: 5, place: place(3), incarnation };
    const words = [
      acceptanceStatement(site, 1, ballot, value, place(3), incarnation),
      lossStatement('silent', site, 1, value.cluster, place(3), incarnation),
    ];
    expect(rows).toEqual(words.map((one) => [one, ed25519(key).sign(one)]));
  });
  it('come with the key of the site, and the filter key it makes', () => {
    expect(document).toContain(`public half: \`${rawKey(key)}\``);
    expect(document).toContain(`filter key \`${digest(`edgekiln filter ${rawKey(key)}`)}\``);
  });
});

describe('the core', () => {
  const files = readdirSync(new URL('.', import.meta.url)).filter((name) => /^[a-z0-9-]+\.ts$/.test(name));
  it('33 takes no address into any decision: a rogue DHCP server changes nothing', () => {
    for (const name of files.filter((one) => !one.endsWith('.test.ts'))) {
      const source = readFileSync(new URL(name, import.meta.url), 'utf8').replaceAll(
        /^\s*(\/\/|\/?\*).*$/gm,
        '',
      );
      expect(source, name).not.toMatch(/address|dhcp|\bip\b|remote|hostname/i);
    }
    expect(Object.keys(fields).filter((name) => /address|ip$/i.test(name))).toEqual([]);
  });
  it.each(files)('%s uses no clock, timer, randomness, file or socket', (name) => {
    const source = readFileSync(new URL(name, import.meta.url), 'utf8');
    expect(source).not.toMatch(
      /\bDate\b|\bperformance\b|Math\.random|randomBytes|randomUUID|getRandomValues/,
    );
    expect(source).not.toMatch(/setTimeout|setInterval|node:(fs|net|dgram|tls|http|child_process|timers)/);
  });
});
