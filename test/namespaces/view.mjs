// The cluster as its own API and datastore show it, printed as JSON. Runs on a server of it; or where a folder (first
// argument) holds what a server has below /, and a port (second one) leads to its API.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { request } from 'node:https';

const [root = '', port = 6443] = process.argv.slice(2);
const kubeconfig = readFileSync(`${root}/etc/rancher/k3s/k3s.yaml`, 'utf8');
const field = (name) => {
  const [, value = ''] = new RegExp(`${name}: (\\S+)`).exec(kubeconfig) ?? [];
  return Buffer.from(value, 'base64');
};
const ca = field('certificate-authority-data');
const admin = { ca, cert: field('client-certificate-data'), key: field('client-key-data') };
const password = readFileSync(`${root}/var/lib/rancher/k3s/server/token`, 'utf8').trim().split(':').at(-1);

function get(path, options) {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path, timeout: 5000, ...options }, (answer) => {
      let body = '';
      answer.on('data', (bytes) => {
        body += bytes;
      });
      answer.on('end', () => {
        if (answer.statusCode === 200) resolve(JSON.parse(body));
        else reject(new Error(`${path}: ${answer.statusCode} ${body.slice(0, 200)}`));
      });
    });
    asked.on('timeout', () => asked.destroy(new Error(`${path}: no answer`)));
    asked.on('error', reject);
    asked.end();
  });
}

const { items } = await get('/api/v1/nodes', admin);
const { members } = await get('/db/info', {
  ca,
  checkServerIdentity: () => undefined,
  auth: `server:${password}`,
});
const nodes = items.map(({ metadata, status }) => ({
  name: metadata.name,
  uid: metadata.uid,
  ready: status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') ?? false,
}));
// A learner is no server yet: with two voters beside it a cluster does not stand the loss of one.
const voters = members.filter(({ isLearner }) => isLearner !== true);
const cluster = createHash('sha256').update(ca).digest('hex').slice(0, 12);
console.log(JSON.stringify({ cluster, nodes, members: voters.map(({ name }) => name) }));
