// How the stand-in's own processes ask a supervisor or an API.
import { Agent, request } from 'node:https';
import { checkServerIdentity } from 'node:tls';

interface Asking {
  readonly method?: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly authorization?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

const agent = new Agent({ keepAlive: true, maxCachedSessions: 0 });

/** Without a CA the answer is taken from anybody, as k3s does for `/cacerts`. */
export function ask(url: string, asking: Asking = {}): Promise<{ status: number; text: string }> {
  const { method = 'GET', ca, cert, key, authorization, headers = {}, body } = asking;
  return new Promise((resolve, reject) => {
    const sent = request(
      url,
      {
        method,
        agent,
        timeout: 12_000,
        ...(ca === undefined ? { rejectUnauthorized: false } : { ca, checkServerIdentity }),
        ...(cert === undefined ? {} : { cert, key }),
        headers: {
          ...headers,
          ...(authorization === undefined ? {} : { authorization }),
          ...(body === undefined || headers['content-type'] !== undefined
            ? {}
            : { 'content-type': 'application/json' }),
        },
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (part: string) => {
          text += part;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
        response.on('error', reject);
      },
    );
    sent.on('timeout', () => sent.destroy(new Error('no answer')));
    sent.on('error', reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

export function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}
