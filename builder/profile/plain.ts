// A YAML document as plain data, with aliases followed.
import { type Alias, type Document, isAlias, isMap, isScalar, isSeq, type Node, type Pair } from 'yaml';
import type { Problem } from '../../formats/errors.ts';
import type { Span } from './excerpt.ts';
import { isSecret } from './secrets.ts';

/** A profile expanded by aliases may not hold more values than this. */
const mostValues = 100_000;

/** Tags that the YAML library reads; of any other it says so itself. */
const knownTag = /^tag:yaml\.org,2002:(str|int|float|bool|null|map|seq|binary|omap|pairs|set|timestamp)$/;

export interface Plain {
  readonly data: unknown;
  /** What each alias stands for. */
  readonly targets: ReadonlyMap<Alias, Node>;
  /** Where values are that must not be shown. */
  readonly secrets: readonly Span[];
  readonly findings: readonly PlainFinding[];
  /** The data must not be looked at further. */
  readonly broken: boolean;
}

interface PlainFinding extends Pick<Problem, 'what' | 'why' | 'fix'> {
  readonly span: Span;
  /** Where the same was before. */
  readonly earlier?: Span;
}

export function makePlain(document: Document<Node, boolean>): Plain {
  const findings: PlainFinding[] = [];
  const secrets: Span[] = [];
  const targets = new Map<Alias, Node>();
  const anchors = new Map<string, Node>();
  const open = new Set<Node>();
  let count = 0;
  let broken = false;

  const visit = (node: unknown): unknown => {
    count += 1;
    if (broken) return null;
    if (isAlias(node)) return follow(node);
    if (!isScalar(node) && !isSeq(node) && !isMap(node)) return null;
    if (node.anchor !== undefined) anchors.set(node.anchor, node);
    if (knownTag.test(node.tag ?? '')) {
      findings.push({ span: spanOf(node), what: 'tags are not read', fix: 'write plain values' });
      return null;
    }
    if (isScalar(node)) return node.value;
    open.add(node);
    const data = isSeq(node) ? node.items.map(visit) : Object.fromEntries(entries(node.items));
    open.delete(node);
    return data;
  };

  const follow = (alias: Alias): unknown => {
    const target = targets.get(alias) ?? anchors.get(alias.source);
    const stop = (what: string, why: string): null => {
      findings.push({ span: spanOf(alias), what, why });
      broken = true;
      return null;
    };
    if (target === undefined) {
      return stop(`the anchor &${alias.source} does not exist`, 'an alias needs its anchor before it');
    }
    if (open.has(target)) return stop(`the alias *${alias.source} holds itself`, 'it would never end');
    if (count > mostValues) {
      return stop('aliases expand to too much', `at most ${mostValues} values are read`);
    }
    targets.set(alias, target);
    return visit(target);
  };

  const entries = (pairs: readonly Pair<unknown, unknown>[]): [string, unknown][] => {
    const seen = new Map<string, Span>();
    return pairs.flatMap(({ key, value }): [string, unknown][] => {
      const span = spanOf(key);
      const name = keyText(key);
      const earlier = name === undefined ? undefined : seen.get(name);
      if (name === undefined) {
        findings.push({ span, what: 'a key must be a word', fix: 'write the key as plain text' });
      } else if (name === '<<') {
        const fix = 'repeat the keys, or use an alias for a whole value';
        findings.push({ span, what: 'merge keys (<<) are not read', fix });
      } else if (earlier !== undefined) {
        findings.push({ span, what: `the key ${name} is there twice`, fix: 'keep one of them', earlier });
      } else {
        seen.set(name, span);
        if (isScalar(value) && isSecret([name])) secrets.push(spanOf(value));
        return [[name, visit(value)]];
      }
      return [];
    });
  };

  const data = visit(document.contents);
  return { data, targets, secrets, findings, broken };
}

/** A key as it is looked up; undefined where it is no single word. */
export function keyText(key: unknown): string | undefined {
  if (!isScalar(key)) return undefined;
  return typeof key.value === 'string' ? key.value : (key.source ?? String(key.value));
}

/** Where a node is; at least one character. */
export function spanOf(node: unknown): Span {
  const range = isScalar(node) || isMap(node) || isSeq(node) || isAlias(node) ? node.range : undefined;
  const [start, end] = range ?? [0, 1];
  return { start, end: Math.max(end, start + 1) };
}
