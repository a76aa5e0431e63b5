// Asking another device: by its place in the roster, at the addresses it was heard from.
import { connect, type TLSSocket } from 'node:tls';
import { isRecord } from '../../formats/json.ts';
import type { Place } from '../../formats/roster.ts';
import type { Channel, Neighbourhood } from '../formation/cluster.ts';
import { inOneLine } from '../inoneline.ts';
import { frame, largestAnswer, readFrame } from './framing.ts';
import { channelPort, keyOfPeer, tlsSettings } from './peer.ts';
import { type Kind, Refused, readers, type Words } from './words.ts';

/** How long one address may take until its key was seen, in milliseconds. */
const connectLasts = 4000;
/** How long an answer may take: a token is made by a program of k3s, slowly on a slow board. */
const answerLasts = 60_000;

export type Ask = <K extends Kind>(
  of: Place,
  kind: K,
  request: Words[K]['request'],
) => Promise<Words[K]['answer']>;

/**
 * Asks one place. Fails with `Refused` where the place itself said no, and with an error that names every address where
 * nobody answered who holds the place's key.
 */
export function asking(neighbourhood: Neighbourhood, port = channelPort): Ask {
  const settings = tlsSettings(neighbourhood.deviceKey);
  return async <K extends Kind>(of: Place, kind: K, request: Words[K]['request']) => {
    const member = neighbourhood.site().members[of];
    if (member?.key === undefined) throw new Error(`place ${of} has no key in the roster`);
    if (member.denied) throw new Error(`${member.name} is denied`);
    const failures: string[] = [];
    for (const address of neighbourhood.addressesOf(of)) {
      let socket: TLSSocket;
      try {
        socket = await reach(address, port, member.key, settings);
      } catch (error) {
        failures.push(`${address}: ${inOneLine(error)}`);
        continue;
      }
      return exchange(socket, kind, request);
    }
    throw new Error(`${member.name} cannot be reached (${failures.join('; ') || 'it was not heard'})`);
  };
}

/** What formation fetches of other devices. */
export function channelOf(ask: Ask): Channel {
  return {
    roster: async (from) => (await ask(from, 'roster', {})).text,
    dossier: async (from) => (await ask(from, 'dossier', {})).dossier,
  };
}

/** A connection whose other end holds this key; nothing was written to it or read from it yet. */
function reach(
  host: string,
  port: number,
  key: string,
  settings: ReturnType<typeof tlsSettings>,
): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...settings, host, port, checkServerIdentity: () => undefined });
    const fail = (error: Error): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(error);
    };
    const timer = setTimeout(() => fail(new Error('it does not answer')), connectLasts);
    socket.once('error', fail);
    socket.once('secureConnect', () => {
      if (keyOfPeer(socket) !== key) return fail(new Error('another key than the roster has'));
      clearTimeout(timer);
      socket.off('error', fail);
      resolve(socket);
    });
  });
}

async function exchange<K extends Kind>(
  socket: TLSSocket,
  kind: K,
  request: Words[K]['request'],
): Promise<Words[K]['answer']> {
  const timer = setTimeout(() => socket.destroy(new Error('no answer in time')), answerLasts);
  try {
    socket.write(frame({ kind, request }));
    const answer = await readFrame(socket, largestAnswer);
    if (isRecord(answer) && typeof answer['refused'] === 'string') throw new Refused(answer['refused']);
    return readers[kind].answer.parse(isRecord(answer) ? answer['answer'] : undefined);
  } finally {
    clearTimeout(timer);
    // A late error, such as a reset while closing, is nobody's concern any more.
    socket.on('error', () => {});
    socket.destroy();
  }
}
