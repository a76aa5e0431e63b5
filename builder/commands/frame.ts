// What every verb shares: --json, stdout for results and stderr for talk, help with examples, exit codes, interruption.
import { Command, CommanderError } from 'commander';
import {
  errorAsJson,
  exitCode,
  exitCodeOf,
  Failure,
  renderError,
  systemFailure,
} from '../../formats/errors.ts';

/** What a verb is given to work with. */
export interface Session {
  /** Whether the result is printed as JSON: then nothing but the result goes to stdout. */
  readonly json: boolean;
  /** Aborts at Ctrl-C. A verb that runs for long passes it on and tidies up within `patience`. */
  readonly signal: AbortSignal;
  /** A line of talk, on stderr. */
  say(line: string): void;
  /** The whole command line, every verb loaded. */
  program(): Promise<Command>;
}

/** What a verb gives back: the same result for people and for programs. */
export interface Result {
  /** Without the last newline; '' prints nothing. */
  readonly text: string;
  /** Printed as they are instead of `text`: the content of a file. */
  readonly raw?: Uint8Array;
  /** For --json; `version` grows when the shape changes in a way readers notice. */
  readonly data: { readonly version: number; readonly [key: string]: unknown };
  /** Where a result is also bad news, such as that of `doctor`. */
  readonly exit?: number;
}

/** Wraps the work of a verb for commander's `action`. Its further parameters are what commander gives. */
export type Act = <Given extends unknown[]>(
  work: (session: Session, ...given: Given) => Promise<Result>,
) => (...given: Given) => Promise<void>;

/** One verb, as its file exports it under the name `verb`. */
export interface Verb {
  /** Command lines as one would type them; the first is the plainest. */
  readonly examples: readonly string[];
  /** Declares arguments, options, subcommands, and what they do: `command.argument(…).action(act(async …))`. */
  register(command: Command, act: Act): void;
}

/** A verb in the list: what `--help` shows without loading it. */
export interface Listed {
  readonly name: string;
  readonly summary: string;
  load(): Promise<{ readonly verb: Verb }>;
}

/** Where a command line runs: the process, or a test. */
export interface Surroundings {
  readonly version: string;
  readonly signal: AbortSignal;
  out(text: string | Uint8Array): void;
  err(text: string): void;
}

/** Runs one command line to its end and gives the exit code. Never throws. */
export async function runCommandLine(
  args: readonly string[],
  verbs: readonly Listed[],
  world: Surroundings,
): Promise<number> {
  const json = args.includes('--json');
  let exit: number = exitCode.ok;
  const act: Act =
    (work) =>
    async (...given) => {
      const say = (line: string) => world.err(`${line}\n`);
      const program = () => makeProgram(verbs, () => true, act, world);
      const result = await work({ json, signal: world.signal, say, program }, ...given);
      exit = result.exit ?? exitCode.ok;
      if (!json && result.raw !== undefined) return world.out(result.raw);
      const text = json ? JSON.stringify(result.data, undefined, 2) : result.text;
      if (text !== '') world.out(`${text}\n`);
    };
  try {
    const program = await makeProgram(verbs, (verb) => args.includes(verb.name), act, world);
    await program.parseAsync(args, { from: 'user' });
    return exit;
  } catch (caught) {
    if (caught instanceof CommanderError && caught.exitCode === 0) return exitCode.ok;
    if (caught instanceof CommanderError && caught.code === 'commander.help') return exitCode.input;
    const error = translate(caught, world.signal);
    if (json) world.out(`${JSON.stringify(errorAsJson(error), undefined, 2)}\n`);
    // Whoever reads stderr line by line as JSON reads the end of it so, too.
    if (talksJson(args)) world.err(`${JSON.stringify({ event: 'failed', ...errorAsJson(error) })}\n`);
    else if (!json) world.err(`${renderError(error)}\n`);
    return exitCodeOf(error);
  }
}

/** The command line as commander's tree. Only verbs that are `wanted` are loaded: the others show name and summary. */
async function makeProgram(
  verbs: readonly Listed[],
  wanted: (verb: Listed) => boolean,
  act: Act,
  world: Surroundings,
): Promise<Command> {
  const program = new Command('edgekiln')
    .description('One YAML profile to flashable images: offline k3s sites for small boards.')
    .version(`edgekiln ${world.version}`, '--version', 'print the version')
    .helpOption('--help', 'show help')
    .helpCommand('help [verb]', 'show help for a verb')
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ writeOut: world.out, writeErr: world.err, outputError: () => {} })
    .addHelpText(
      'after',
      '\nExit codes: 0 ok, 1 bug, 2 input, 3 unsupported, 4 environment, 5 dependency, 6 I/O, 130 interrupted',
    );
  for (const listed of verbs) {
    const command = program.command(listed.name).description(listed.summary);
    if (!wanted(listed)) continue;
    const { verb } = await listed.load();
    verb.register(command, act);
    command.addHelpText('after', `\nExample:\n${verb.examples.map((line) => `  ${line}`).join('\n')}`);
  }
  addJson(program);
  return program;
}

function addJson(command: Command): void {
  command.option('--json', 'print the result as JSON');
  command.commands.forEach(addJson);
}

function talksJson(args: readonly string[]): boolean {
  return args.some((arg, index) => {
    return arg === '--progress=json' || (arg === 'json' && args[index - 1] === '--progress');
  });
}

/** Errors of the command line itself are input failures; whatever fails after Ctrl-C is the interruption. */
function translate(error: unknown, signal: AbortSignal): unknown {
  if (error instanceof CommanderError) {
    const [first = '', second] = error.message.split('\n');
    const what = first.replace(/^error: /, '');
    const fix = second?.replace(/^\(Did you mean (.*)\?\)$/, 'did you mean $1?') ?? 'see edgekiln --help';
    return new Failure('input', { what, fix }, error);
  }
  if (!signal.aborted || (error instanceof Failure && error.kind === 'interrupted'))
    return systemFailure(error) ?? error;
  return new Failure('interrupted', { what: 'interrupted' }, error);
}
