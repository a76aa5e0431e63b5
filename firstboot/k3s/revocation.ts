// Barring devices that the roster denies: their tokens, their nodes, and a policy on the node's name, for the kubelet's
// certificate of a stolen worker cannot be taken back and would make its node again.
import { isRecord } from '../../formats/json.ts';
import type { Site } from '../protocol/site.ts';
import { ApiError } from './api.ts';
import type { Serving } from './serving.ts';
import { tokenDescription } from './token.ts';
import type { Sight } from './view.ts';

const group = 'admissionregistration.k8s.io/v1';
const policies = `/apis/${group}/validatingadmissionpolicies`;
const bindings = `/apis/${group}/validatingadmissionpolicybindings`;

/** `inPlace` remembers node names whose policy was seen: it is looked for once. */
export async function bar(
  serving: Serving,
  site: Site,
  { nodes }: Sight,
  inPlace: Set<string>,
): Promise<void> {
  for (const member of site.members) {
    if (member?.denied !== true) continue;
    const node = nodes.find(({ name }) => name === member.name);
    if (inPlace.has(member.name) && node === undefined) continue;
    await denyName(serving, member.name);
    await deleteTokens(serving, member.name);
    if (node !== undefined) await serving.deleteNode(node);
    inPlace.add(member.name);
  }
}

async function denyName(serving: Serving, node: string): Promise<void> {
  const name = `edgekiln-denied-${node}`;
  const api = await serving.api();
  const make = async (path: string, object: object): Promise<void> => {
    const answer = await api.ask('POST', path, object);
    if (answer.status >= 300 && answer.status !== 409) throw new ApiError(`POST ${path}`, answer);
  };
  await make(policies, denial(node));
  await make(bindings, {
    apiVersion: group,
    kind: 'ValidatingAdmissionPolicyBinding',
    metadata: { name },
    spec: { policyName: name, validationActions: ['Deny'] },
  });
}

/** Everything this node's own user would write is refused. */
function denial(node: string): object {
  return {
    apiVersion: group,
    kind: 'ValidatingAdmissionPolicy',
    metadata: { name: `edgekiln-denied-${node}` },
    spec: {
      failurePolicy: 'Fail',
      matchConstraints: {
        resourceRules: [{ apiGroups: ['*'], apiVersions: ['*'], operations: ['*'], resources: ['*/*'] }],
      },
      matchConditions: [
        { name: 'the-node-itself', expression: `request.userInfo.username == 'system:node:${node}'` },
      ],
      validations: [{ expression: 'false', message: `${node} is denied by the roster of this site` }],
    },
  };
}

async function deleteTokens(serving: Serving, node: string): Promise<void> {
  const api = await serving.api();
  const path = '/api/v1/namespaces/kube-system/secrets';
  const wanted = Buffer.from(tokenDescription(node)).toString('base64');
  for (const { metadata, data } of await api.list(path)) {
    if (!isRecord(metadata) || !isRecord(data) || data['description'] !== wanted) continue;
    await api.ask('DELETE', `${path}/${String(metadata['name'])}`);
  }
}
