// A profile's text as values that know their places. YAML 1.2, one document, plain data: no tags, no merge keys.
import {
  Composer,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type Node,
  type Pair,
  Parser,
  type YAMLError,
} from 'yaml';
import type { Problem } from '../../formats/errors.ts';
import { isSecret } from './secrets.ts';

export type KeyPath = readonly (string | number)[];

/** A place as people read it; the two fields of a `Problem` that say where. */
export interface Place {
  readonly where: string;
  readonly excerpt: string;
}

export interface Source {
  /** Plain data, with aliases resolved. */
  readonly value: unknown;
  /** The place of a key's value, or of the deepest key on the way to it that is written. */
  locate(path: KeyPath): Place;
  /** The place of a key itself, such as one that should not be there. */
  locateKey(path: KeyPath): Place;
  /** A single value as it is written, quotes and all; '' where there is none. */
  written(path: KeyPath): string;
  /** Where a key path starts in the text, for putting problems in order. */
  offsetOf(path: KeyPath): number;
}

interface Span {
  readonly start: number;
  readonly end: number;
}

/** Deeper than any profile; the composer calls itself once a level. */
const deepest = 100;
/** A profile expanded by aliases may not hold more values than this. */
const mostValues = 100_000;
const shownColumns = 110;

/** Reads YAML. Gives the source, or every problem of its syntax; duplicate keys come with a source. */
export function readSource(
  text: string,
  file: string,
): { readonly source?: Source; readonly problems: readonly Problem[] } {
  const lines = new LineCounter();
  const secrets: Span[] = [];
  const place = (span: Span): Place => show(hide(text, secrets), file, lines, span);
  const problems: Problem[] = [];
  const report = (span: Span, problem: Omit<Problem, 'where' | 'excerpt'>) => {
    problems.push({ ...problem, ...place(span) });
  };

  const parsed = compose(text, lines);
  if (parsed.tooDeep !== undefined) {
    const at = { start: parsed.tooDeep, end: parsed.tooDeep + 1 };
    report(at, { what: `nested more than ${deepest} levels deep`, why: 'no profile is' });
    return { problems };
  }
  const [document, second] = parsed.documents;
  for (const error of document?.errors ?? []) report(spanOf(error), explain(error));
  for (const warning of document?.warnings ?? []) report(spanOf(warning), explain(warning));
  if (document?.directives?.yaml.explicit === true && document.directives.yaml.version !== '1.2') {
    report({ start: 0, end: 5 }, { what: 'a profile is YAML 1.2', fix: 'remove the %YAML line' });
  }
  if (second !== undefined) {
    const start = second.range?.[0] ?? 0;
    const why = 'a profile is one document: one site';
    report(
      { start, end: start + 1 },
      { what: 'a second document starts here', why, fix: 'give it a file of its own' },
    );
  }
  if (problems.length > 0) return { problems };
  if (document === undefined || document.contents === null || isEmpty(document.contents)) {
    const what = 'the profile is empty';
    return { problems: [{ what, where: file, fix: 'write one to start from: edgekiln init' }] };
  }
  const value = plain(document, report, secrets);
  if (value.broken) return { problems };
  const span = (path: KeyPath, part: 'key' | 'value') => find(document, path, part);
  return {
    problems,
    source: {
      value: value.data,
      locate: (path) => place(span(path, 'value')),
      locateKey: (path) => place(span(path, 'key')),
      written: (path) => text.slice(span(path, 'value').start, span(path, 'value').end),
      offsetOf: (path) => span(path, 'key').start,
    },
  };
}

/** Composes documents, but measures their depth first on the parser's own stack: a deep one would overflow ours. */
function compose(text: string, lines: LineCounter) {
  const parser = new Parser(lines.addNewLine);
  lines.addNewLine(0);
  const tokens = [];
  for (const lexeme of new Lexer().lex(text)) {
    for (const token of parser.next(lexeme)) tokens.push(token);
    if (parser.stack.length > deepest) return { tooDeep: parser.offset, documents: [] };
  }
  for (const token of parser.end()) tokens.push(token);
  // Keys are compared while the values are made plain: faster, and it can say where the first one is.
  const composer = new Composer({ prettyErrors: false, uniqueKeys: false });
  return { documents: [...composer.compose(tokens, true, text.length)] };
}

type Report = (span: Span, problem: Omit<Problem, 'where' | 'excerpt'>) => void;

/**
 * The document as plain data; where it holds secrets is added to `secrets`. `broken` says that the data must not be
 * looked at further.
 */
function plain(
  document: Document<Node, boolean>,
  report: Report,
  secrets: Span[],
): { data: unknown; broken: boolean } {
  const open = new Set<unknown>();
  let count = 0;
  let broken = false;
  const stop = (node: Node, what: string, why: string) => {
    if (!broken) report(nodeSpan(node), { what, why });
    broken = true;
  };

  const visit = (node: unknown): unknown => {
    count += 1;
    if (broken || node === null || node === undefined) return null;
    if (isAlias(node)) {
      const target = node.resolve(document);
      if (target === undefined)
        stop(node, `the anchor &${node.source} does not exist`, 'an alias needs its anchor before it');
      else if (open.has(target)) stop(node, `the alias *${node.source} holds itself`, 'it would never end');
      else if (count > mostValues)
        stop(node, 'aliases expand to too much', `at most ${mostValues} values are read`);
      else return visit(target);
      return null;
    }
    if (isScalar(node)) return node.value;
    open.add(node);
    let data: unknown = null;
    if (isSeq(node)) data = node.items.map(visit);
    if (isMap(node)) data = Object.fromEntries(entries(node.items));
    open.delete(node);
    return data;
  };

  const entries = (pairs: readonly Pair<unknown, unknown>[]): [string, unknown][] => {
    const seen = new Set<string>();
    return pairs.flatMap(({ key, value }): [string, unknown][] => {
      const name = keyText(key);
      const span = nodeSpan(key);
      if (name === undefined) {
        report(span, { what: 'a key must be a word', fix: 'write the key as plain text' });
      } else if (name === '<<') {
        const fix = 'repeat the keys, or use an alias for a whole value';
        report(span, { what: 'merge keys (<<) are not read', fix });
      } else if (seen.has(name)) {
        report(span, { what: `the key ${name} is there twice`, fix: 'keep one of them' });
      } else {
        seen.add(name);
        if (isScalar(value) && isSecret([name])) secrets.push(nodeSpan(value));
        return [[name, visit(value)]];
      }
      return [];
    });
  };

  const data = visit(document.contents);
  return { data, broken };
}

/** Follows a path as far as it is written. */
function find(document: Document<Node, boolean>, path: KeyPath, part: 'key' | 'value'): Span {
  let node: unknown = document.contents;
  let best: Span = { start: nodeSpan(node).start, end: nodeSpan(node).start + 1 };
  for (const [index, step] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document);
    const last = index === path.length - 1;
    if (isMap(node)) {
      const pair = node.items.find((item) => keyText(item.key) === String(step));
      if (pair === undefined) break;
      node = pair.value;
      const atValue = isScalar(node) && hasText(node) && !(last && part === 'key');
      best = nodeSpan(atValue ? node : pair.key);
    } else if (isSeq(node)) {
      const item: unknown = node.items[Number(step)];
      if (item === undefined) break;
      node = item;
      best = headSpan(item);
    } else break;
  }
  return best;
}

/** A list item is shown by its first key where it is a map. */
function headSpan(node: unknown): Span {
  const first = isMap(node) ? node.items[0] : undefined;
  return nodeSpan(first === undefined ? node : first.key);
}

function keyText(key: unknown): string | undefined {
  if (!isScalar(key)) return undefined;
  return typeof key.value === 'string' ? key.value : (key.source ?? String(key.value));
}

function hasText(node: Node): boolean {
  return node.range != null && node.range[1] > node.range[0];
}

function isEmpty(node: Node): boolean {
  return isScalar(node) && node.value === null;
}

function nodeSpan(node: unknown): Span {
  const range = isScalar(node) || isMap(node) || isSeq(node) || isAlias(node) ? node.range : undefined;
  const [start, end] = range ?? [0, 1];
  return { start, end: Math.max(end, start + 1) };
}

function spanOf(error: YAMLError): Span {
  return { start: error.pos[0], end: Math.max(error.pos[1], error.pos[0] + 1) };
}

/** What the YAML library found, in our words where it is common. */
function explain(error: YAMLError): Omit<Problem, 'where' | 'excerpt'> {
  if (error.code === 'TAB_AS_INDENT')
    return { what: 'a tab where YAML wants spaces', fix: 'indent with spaces' };
  if (error.code === 'TAG_RESOLVE_FAILED') return { what: 'tags are not read', fix: 'write plain values' };
  if (error.code === 'BLOCK_AS_IMPLICIT_KEY') {
    const why = 'a value holds ": ", or this line is indented further than its neighbours';
    return {
      what: 'not YAML: a key inside of a value',
      why,
      fix: 'put the value in quotes, or align the line',
    };
  }
  return { what: `not YAML: ${error.message.split('\n')[0] ?? error.code}` };
}

/** The same text, of the same length, without the secrets. */
function hide(text: string, secrets: readonly Span[]): string {
  return secrets.reduce((hidden, { start, end }) => {
    return hidden.slice(0, start) + hidden.slice(start, end).replace(/\S/g, '*') + hidden.slice(end);
  }, text);
}

/** `file:line:col` and the line with carets under the span. Lines and columns count from 1. */
function show(text: string, file: string, lines: LineCounter, span: Span): Place {
  const start = Math.min(span.start, text.length);
  const { line, col } = lines.linePos(start);
  const lineStart = start - (col - 1);
  const newline = text.indexOf('\n', lineStart);
  const full = text.slice(lineStart, newline < 0 ? text.length : newline).replace(/\r$/, '');
  const cut = full.length <= shownColumns ? 0 : Math.max(0, col - 1 - shownColumns / 2);
  const shown = full.slice(cut, cut + shownColumns);
  const width = Math.min(span.end - start, shown.length - (col - 1 - cut));
  const gutter = `${line}`.padStart(5);
  const lead = shown.slice(0, col - 1 - cut).replace(/[^\t]/g, ' ');
  return {
    where: `${file}:${line}:${col}`,
    excerpt: `${gutter} | ${shown}\n${' '.repeat(gutter.length)} | ${lead}${'^'.repeat(Math.max(1, width))}`,
  };
}
