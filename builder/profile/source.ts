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
  Parser,
  type YAMLError,
} from 'yaml';
import type { Problem } from '../../formats/errors.ts';
import { hide, type Place, type Span, show } from './excerpt.ts';
import { keyText, makePlain, type Plain, spanOf } from './plain.ts';

export type KeyPath = readonly (string | number)[];

export interface Source {
  /** Plain data, with aliases followed. */
  readonly value: unknown;
  /** The place of a key's value, or of the deepest key on the way to it that is written. */
  locate(path: KeyPath): Place;
  /** The place of a key itself, such as one that should not be there. */
  locateKey(path: KeyPath): Place;
  /** A single value as it is written, quotes and all. */
  written(path: KeyPath): string;
  /** Where a key path starts in the text, for putting problems in order. */
  offsetOf(path: KeyPath): number;
}

/** Deeper than any profile; the composer calls itself once a level. */
const deepest = 100;

/** Reads YAML. Gives the source, or every problem of its syntax; duplicate keys come with a source. */
export function readSource(
  text: string,
  file: string,
): { readonly source?: Source; readonly problems: readonly Problem[] } {
  const lines = new LineCounter();
  const at = (span: Span, problem: Omit<Problem, 'where' | 'excerpt'>): Problem => {
    return { ...problem, ...show(text, file, lines, span) };
  };
  const parsed = compose(text, lines);
  if (parsed.tooDeep !== undefined) {
    const span = { start: parsed.tooDeep, end: parsed.tooDeep + 1 };
    return {
      problems: [at(span, { what: `nested more than ${deepest} levels deep`, why: 'no profile is' })],
    };
  }
  const [document, second] = parsed.documents;
  const placed = (error: YAMLError): Problem =>
    at({ start: error.pos[0], end: Math.max(error.pos[1], error.pos[0] + 1) }, explain(error));
  const errors = [...(document?.errors ?? []), ...(document?.warnings ?? [])];
  // What stands behind a tag can be looked at all the same.
  const tags = errors.filter(({ code }) => code === 'TAG_RESOLVE_FAILED').map(placed);
  const problems = errors.filter(({ code }) => code !== 'TAG_RESOLVE_FAILED').map(placed);
  if (document?.directives?.yaml.explicit === true && document.directives.yaml.version !== '1.2') {
    problems.push(at({ start: 0, end: 5 }, { what: 'a profile is YAML 1.2', fix: 'remove the %YAML line' }));
  }
  if (second !== undefined) {
    const start = second.range?.[0] ?? 0;
    const what = 'a second document starts here';
    const why = 'a profile is one document: one site';
    problems.push(at({ start, end: start + 1 }, { what, why, fix: 'give it a file of its own' }));
  }
  if (problems.length > 0) return { problems: [...tags, ...problems] };
  if (document === undefined || isEmpty(document.contents)) {
    const what = 'the profile is empty';
    return { problems: [{ what, where: file, fix: 'write one to start from: edgekiln init' }] };
  }

  const plain = makePlain(document);
  const shown = hide(text, plain.secrets);
  const place = (span: Span) => show(shown, file, lines, span);
  const span = (path: KeyPath, part: 'key' | 'value') => find(document, plain, path, part);
  const source: Source = {
    value: plain.data,
    locate: (path) => place(span(path, 'value')),
    locateKey: (path) => place(span(path, 'key')),
    written: (path) => text.slice(span(path, 'value').start, span(path, 'value').end),
    offsetOf: (path) => span(path, 'key').start,
  };
  const found = plain.findings.map(({ span, earlier, ...problem }): Problem => {
    const why =
      earlier === undefined ? {} : { why: `line ${lines.linePos(earlier.start).line} has it already` };
    return { ...problem, ...why, ...place(span) };
  });
  const all = [...tags, ...found];
  return plain.broken ? { problems: all } : { problems: all, source };
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

/** Follows a path as far as it is written. */
function find(document: Document<Node, boolean>, plain: Plain, path: KeyPath, part: 'key' | 'value'): Span {
  let node: unknown = document.contents;
  let best: Span = { start: spanOf(node).start, end: spanOf(node).start + 1 };
  for (const [index, step] of path.entries()) {
    if (isAlias(node)) node = plain.targets.get(node);
    if (isMap(node)) {
      const pair = node.items.find((item) => keyText(item.key) === String(step));
      if (pair === undefined) break;
      node = pair.value;
      const keyWanted = part === 'key' && index === path.length - 1;
      best = spanOf(isScalar(node) && !isBlank(node) && !keyWanted ? node : pair.key);
    } else if (isSeq(node)) {
      const item: unknown = node.items[Number(step)];
      if (item === undefined) break;
      // An item that is a map is shown by its first key.
      best = spanOf(isMap(item) ? (item.items[0]?.key ?? item) : item);
      node = item;
    } else break;
  }
  return best;
}

function isBlank(node: Node): boolean {
  return node.range == null || node.range[1] === node.range[0];
}

function isEmpty(node: Node | null): boolean {
  return node === null || (isScalar(node) && node.value === null);
}

/** What the YAML library found, in our words where it is common. */
function explain(error: YAMLError): Omit<Problem, 'where' | 'excerpt'> {
  switch (error.code) {
    case 'TAB_AS_INDENT':
      return { what: 'a tab where YAML wants spaces', fix: 'indent with spaces' };
    case 'TAG_RESOLVE_FAILED':
      return { what: 'tags are not read', fix: 'write plain values' };
    case 'BLOCK_AS_IMPLICIT_KEY':
      return {
        what: 'not YAML: a key inside of a value',
        why: 'a value holds ": ", or this line is indented further than its neighbours',
        fix: 'put the value in quotes, or align the line',
      };
    default:
      return { what: `not YAML: ${error.message.split('\n')[0] ?? error.code}` };
  }
}
