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

/** Levels of lists and maps in one another; schemas of definitions have some dozens. */
const deepest = 200;
const tooDeep = `it is nested more than ${deepest} levels deep`;

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((inner) => isDeeper(inner, levels - 1));
}

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
    // As kubectl reads them.
    merge: true,
    stringKeys: true,
  })) {
    const at = (offset: number): string => {
      const { line, col } = lines.linePos(offset);
      return `${where}:${line}:${col}`;
    };
    const [error] = document.errors;
    if (error !== undefined) {
      const why = error.message.split('\n')[0] ?? '';
      const deep = why.startsWith('Maximum call stack size exceeded');
      problems.push({
        what: 'this is not YAML',
        where: at(error.pos[0]),
        why: deep ? tooDeep : why,
      });
      continue;
    }
    const place = at(document.contents?.range?.[0] ?? 0);
    let value: unknown;
    try {
      value = document.toJS();
    } catch (thrown) {
      // Of a document without errors only aliases can be wrong still, and its depth.
      if (!(thrown instanceof ReferenceError || thrown instanceof RangeError)) throw thrown;
      const why = thrown instanceof RangeError ? tooDeep : 'its aliases expand to too much';
      problems.push({ what: 'this is not YAML', where: place, why });
      continue;
    }
    if (isDeeper(value, deepest)) {
      problems.push({ what: 'this is no Kubernetes object', where: place, why: tooDeep });
      continue;
    }
    if (value === null || value === undefined) continue;
    for (const item of itemsOf(value)) {
      const lack = isKubernetesObject(item) ? wrongWordOf(item) : lackOf(item);
      if (lack !== undefined)
        problems.push({ what: 'this is no Kubernetes object', where: place, why: lack });
      else if (isKubernetesObject(item)) objects.push(item);
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

/** A word of an object that no API server takes; devices make paths of these words. */
function wrongWordOf({ apiVersion, kind, metadata }: KubernetesObject): string | undefined {
  const { name, namespace } = metadata;
  if (!/^([a-z0-9]([a-z0-9.-]*[a-z0-9])?\/)?[a-z0-9][a-z0-9-]*$/.test(apiVersion))
    return `there is no apiVersion ${apiVersion}`;
  if (!/^[A-Za-z][A-Za-z0-9]*$/.test(kind)) return `there is no kind ${kind}`;
  if (/[/%?#\s]/.test(name) || /^\.\.?$/.test(name)) return `nothing can be called ${name}`;
  if (namespace === undefined || namespace === null || namespace === '') return undefined;
  return typeof namespace === 'string' && /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(namespace)
    ? undefined
    : `no namespace can be called ${JSON.stringify(namespace)}`;
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
