// A place in a text as people read it: `file:line:col`, and the line with carets under it.
import type { LineCounter } from 'yaml';

/** A place as people read it; the two fields of a `Problem` that say where. */
export interface Place {
  readonly where: string;
  readonly excerpt: string;
}

/** Offsets in the text; `end` is exclusive. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

const shownColumns = 110;

/** The same text, of the same length, without the secrets. */
export function hide(text: string, secrets: readonly Span[]): string {
  return secrets.reduce((hidden, { start, end }) => {
    return hidden.slice(0, start) + hidden.slice(start, end).replace(/\S/g, '*') + hidden.slice(end);
  }, text);
}

/** `file:line:col` and the line with carets under the span. Lines and columns count from 1. */
export function show(text: string, file: string, lines: LineCounter, span: Span): Place {
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
