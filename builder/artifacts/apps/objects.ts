// The Kubernetes objects in manifests, as one list in the order in which they can be applied.
import { LineCounter, parseAllDocuments, type ScalarTag } from 'yaml';
import { isKubernetesObject, type KubernetesObject } from '../../../formats/app.ts';
import { Failure, type Problem } from '../../../formats/errors.ts';
import { isRecord } from '../../../formats/json.ts';

/** A number such as 0644 is octal to kubectl, which reads YAML 1.1, and decimal in YAML 1.2: a mode must stay one. */
const octal: ScalarTag = {
  tag: 'tag:yaml.org,2002:int',
  default: true,
  test: /^0[0-7]+$/,
  resolve: (text) => Number.parseInt(text, 8),
};

/** What other objects of an app may need to be there first. */
const first = ['Namespace', 'CustomResourceDefinition'];

/**
 * The objects of a text of YAML documents; `where` names it in problems. Empty documents are passed over and lists
 * are taken apart. Fails as `input` with all that is no object, by line.
 */
export function objectsOf(text: string, where: string): KubernetesObject[] {
  const lines = new LineCounter();
  const objects: KubernetesObject[] = [];
  const problems: Problem[] = [];
  for (const document of parseAllDocuments(text, {
    customTags: (tags) => [octal, ...tags],
    lineCounter: lines,
  })) {
    const at = (offset: number): string => {
      const { line, col } = lines.linePos(offset);
      return `${where}:${line}:${col}`;
    };
    const [error] = document.errors;
    if (error !== undefined) {
      problems.push({
        what: 'this is not YAML',
        where: at(error.pos[0]),
        why: error.message.split('\n')[0] ?? '',
      });
      continue;
    }
    const value: unknown = document.toJS();
    if (value === null || value === undefined) continue;
    const place = at(document.contents?.range?.[0] ?? 0);
    for (const item of itemsOf(value)) {
      if (isKubernetesObject(item)) objects.push(item);
      else problems.push({ what: 'this is no Kubernetes object', where: place, why: lackOf(item) });
    }
  }
  if (problems.length > 0) throw new Failure('input', problems);
  return objects;
}

/** Namespaces and definitions first, the rest as it came. */
export function inOrder(objects: readonly KubernetesObject[]): KubernetesObject[] {
  const rank = ({ kind }: KubernetesObject): number => {
    const index = first.indexOf(kind);
    return index === -1 ? first.length : index;
  };
  return [...objects].sort((a, b) => rank(a) - rank(b));
}

/** A list of objects is its items. */
function itemsOf(value: unknown): readonly unknown[] {
  if (!isRecord(value)) return [value];
  const { kind, items } = value;
  return typeof kind === 'string' && kind.endsWith('List') && Array.isArray(items) ? items : [value];
}

function lackOf(value: unknown): string {
  if (!isRecord(value)) return 'it is not a map';
  const { apiVersion, kind, metadata } = value;
  if (typeof apiVersion !== 'string' || apiVersion === '') return 'it has no apiVersion';
  if (typeof kind !== 'string' || kind === '') return 'it has no kind';
  if (isRecord(metadata) && 'generateName' in metadata)
    return 'its name is generated: it would be made anew at every look; give it a name';
  return 'it has no metadata.name';
}
