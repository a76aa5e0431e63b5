// Handlebars templates of overlays: strict, no HTML escaping, and every value either quoted for the language it is put
// into or plain. A value that would break out of its place is refused, with the template's name and line.
import Handlebars from 'handlebars';
import { Failure } from '../../formats/errors.ts';

type Value = unknown;

/** Says why a value cannot stand in a place; thrown inside of helpers, given a place by `renderTemplate`. */
class BreaksOut extends Error {}

const quoting = {
  /** One word of a POSIX shell. */
  shell: (value: string) => `'${value.replaceAll("'", "'\\''")}'`,
  /** A YAML double-quoted scalar: JSON strings are. */
  yaml: (value: string) => JSON.stringify(value),
  /** The rest of a line in an INI file. */
  ini: (value: string) => {
    if (/[\0\r\n]/.test(value)) throw new BreaksOut('it holds a line break');
    if (/^\s|\s$|\\$/.test(value))
      throw new BreaksOut('it begins or ends with a blank, or ends with a backslash');
    return value;
  },
  /** One word of a systemd unit's setting: specifiers and variables are taken literally. */
  systemd: (value: string) => {
    if (/[\0\r\n]/.test(value)) throw new BreaksOut('it holds a line break');
    const escaped = value
      .replaceAll('\\', '\\\\')
      .replaceAll('"', '\\"')
      .replaceAll('%', '%%')
      .replaceAll('$', '$$$$');
    return `"${escaped}"`;
  },
  /** What stands in a template without a helper: must need no quoting anywhere. */
  plain: (value: string) => {
    if (!/^[A-Za-z0-9._:/@+,=-]*$/.test(value))
      throw new BreaksOut('it needs quoting: use shell, yaml, ini or systemd');
    return value;
  },
} as const;

const engine = Handlebars.create();
for (const [name, quote] of Object.entries(quoting)) {
  engine.registerHelper(name, (...given: Value[]) => {
    // The value, what the template calls it (added below), and Handlebars' own options.
    const [value, called] = given;
    return new Handlebars.SafeString(quote(asText(value, String(called))));
  });
}

/**
 * Renders a template. `name` is said in failures. All values of `data` that the template names must be there: a missing
 * one is a failure, never an empty string.
 */
export function renderTemplate(name: string, source: string, data: Readonly<Record<string, Value>>): string {
  try {
    const program = engine.parse(source);
    quoteBare(program.body);
    const render = engine.compile(program, {
      strict: true,
      noEscape: true,
      knownHelpersOnly: true,
      knownHelpers: { shell: true, yaml: true, ini: true, systemd: true, plain: true },
    });
    return render(data, { allowProtoPropertiesByDefault: false, allowProtoMethodsByDefault: false });
  } catch (error) {
    throw new Failure(
      'input',
      {
        what: `the template cannot be rendered: ${error instanceof Error ? (error.message.split('\n')[0] ?? '') : error}`,
        where: name,
        fix: 'every value it names must be in the profile, and be quoted for the place it stands in',
      },
      error,
    );
  }
}

function asText(value: Value, called: string): string {
  if (value === undefined || value === null) throw new BreaksOut(`${called} has no value`);
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  throw new BreaksOut(`${called} is a ${Array.isArray(value) ? 'list' : typeof value}, not text`);
}

/** Checks that every value is quoted by one helper; what no helper quotes is given to `plain`, which checks its text. */
function quoteBare(statements: readonly hbs.AST.Statement[]): void {
  for (const statement of statements) {
    if (isMustache(statement)) {
      const [value = statement.path, ...more] = statement.params;
      const helper = statement.params.length === 0 ? 'plain' : originalOf(statement.path);
      if (!(helper in quoting)) throw new BreaksOut(`${helper} is not a quoting helper`);
      if (more.length > 0) throw new BreaksOut(`${helper} takes one value`);
      const { loc } = statement;
      const called: hbs.AST.StringLiteral = {
        type: 'StringLiteral',
        value: originalOf(value),
        original: originalOf(value),
        loc,
      };
      statement.params = [value, called];
      const path: hbs.AST.PathExpression = {
        type: 'PathExpression',
        data: false,
        depth: 0,
        parts: [helper],
        original: helper,
        loc,
      };
      statement.path = path;
    } else if (isBlock(statement)) {
      quoteBare(statement.program.body);
      if (statement.inverse) quoteBare(statement.inverse.body);
    } else if (statement.type.startsWith('Partial') || statement.type.startsWith('Decorator')) {
      throw new BreaksOut('partials and decorators are not used here');
    }
  }
}

/** What a template calls a value or a helper. */
function originalOf(expression: hbs.AST.Expression): string {
  return 'original' in expression ? String(expression.original) : expression.type;
}

function isMustache(statement: hbs.AST.Statement): statement is hbs.AST.MustacheStatement {
  return statement.type === 'MustacheStatement';
}

function isBlock(statement: hbs.AST.Statement): statement is hbs.AST.BlockStatement {
  return statement.type === 'BlockStatement';
}
