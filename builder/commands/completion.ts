// edgekiln completion SHELL: made from the command line's own tree, so it can never be behind it.
import { Argument, type Command, Option } from 'commander';
import type { Verb } from './frame.ts';

const shells = { bash, zsh, fish } as const;
type Shell = keyof typeof shells;

export const verb: Verb = {
  examples: [
    'source <(edgekiln completion bash)',
    'edgekiln completion zsh > ~/.zsh/completions/_edgekiln',
    'edgekiln completion fish > ~/.config/fish/completions/edgekiln.fish',
  ],
  register(command, act) {
    command.addArgument(new Argument('<shell>', 'the shell').choices(Object.keys(shells))).action(
      act(async (session, shell: Shell) => {
        const script = shells[shell](nodesOf(await session.program()));
        return { text: script, data: { version: 1, shell, script } };
      }),
    );
  },
};

/** One command of the tree: what can follow its words. */
interface Node {
  /** Words after the program's name, joined by spaces; '' is the program itself. */
  readonly words: string;
  readonly follows: readonly { readonly word: string; readonly summary: string }[];
  readonly options: readonly Flag[];
}

interface Flag {
  readonly word: string;
  readonly summary: string;
  /** What may follow it; none: anything, such as a file. */
  readonly values: readonly string[];
  /** It takes no value. */
  readonly bare: boolean;
}

function nodesOf(command: Command, words: readonly string[] = []): Node[] {
  const options = [...command.options, new Option('--help', 'show help')].flatMap((option): Flag[] => {
    const { long, description: summary, argChoices: values = [] } = option;
    return long ? [{ word: long, summary, values, bare: option.isBoolean() }] : [];
  });
  const verbs = command.commands.map((sub) => ({ word: sub.name(), summary: sub.description() }));
  const choices = command.registeredArguments.flatMap((argument) =>
    (argument.argChoices ?? []).map((choice) => ({ word: choice, summary: argument.description })),
  );
  const here = { words: words.join(' '), follows: [...verbs, ...choices], options };
  return [here, ...command.commands.flatMap((sub) => nodesOf(sub, [...words, sub.name()]))];
}

/** Follows the words typed so far down the tree, in bash and zsh; `trail` ends as the words of a node. */
function walk(nodes: readonly Node[], typed: string): string {
  const known = nodes.flatMap((node) => (node.words === '' ? [] : [`'${node.words}'`])).join('|');
  return `  for word in ${typed}; do
    case "\${trail:+$trail }$word" in
      ${known}) trail="\${trail:+$trail }$word" ;;
    esac
  done`;
}

function bash(nodes: readonly Node[]): string {
  const cases = nodes.map(({ words, follows, options }) => {
    const list = (items: Node['follows']) => items.map((item) => item.word).join(' ');
    return `    '${words}') follows='${list(follows)}'; options='${list(options)}' ;;`;
  });
  const values = valued(nodes).map(
    ({ words, word, values }) => `    '${words} ${word}') follows='${values.join(' ')}' ;;`,
  );
  return `# bash completion for edgekiln
_edgekiln() {
  local current=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} trail='' word follows='' options=''
  # A sign between an option and its value is a word for bash.
  if [[ $current == = ]]; then current=''
  elif [[ $before == = ]]; then before=\${COMP_WORDS[COMP_CWORD-2]}; fi
${walk(nodes, `"\${COMP_WORDS[@]:1:COMP_CWORD-1}"`)}
  case "$trail" in
${cases.join('\n')}
  esac
  case "$trail $before" in
${values.join('\n')}
  esac
  # Where no word follows, bash completes file names by itself.
  if [[ $current == -* ]]; then COMPREPLY=($(compgen -W "$options" -- "$current"))
  else COMPREPLY=($(compgen -W "$follows" -- "$current")); fi
}
complete -o default -F _edgekiln edgekiln`;
}

function zsh(nodes: readonly Node[]): string {
  const cases = nodes.map(({ words, follows, options }) => {
    const list = (items: Node['follows']) =>
      items.map((item) => quote(`${item.word}:${item.summary.replaceAll(':', '\\:')}`)).join(' ');
    return `    ('${words}') follows=(${list(follows)}); options=(${list(options)}) ;;`;
  });
  const values = valued(nodes).map(
    ({ words, word, values }) => `    ('${words} ${word}') follows=(${values.map(quote).join(' ')}) ;;`,
  );
  return `#compdef edgekiln
_edgekiln() {
  local trail='' word
  local -a follows options
${walk(nodes, `"\${(@)words[2,CURRENT-1]}"`)}
  case "$trail" in
${cases.join('\n')}
  esac
  case "$trail \${words[CURRENT-1]}" in
${values.join('\n')}
  esac
  if [[ $words[CURRENT] == -* ]]; then _describe -o option options
  elif (( $#follows )); then _describe word follows
  else _files; fi
}
# Read from a folder of fpath, this file is the function itself; sourced, it must be announced.
if [[ $funcstack[1] == _edgekiln ]]; then _edgekiln; else compdef _edgekiln edgekiln; fi`;
}

/** The options that take one of some values, with the words before them. */
function valued(nodes: readonly Node[]): (Flag & { readonly words: string })[] {
  return nodes.flatMap(({ words, options }) =>
    options.filter(({ values }) => values.length > 0).map((option) => ({ ...option, words })),
  );
}

function fish(nodes: readonly Node[]): string {
  const lines = nodes.flatMap(({ words, follows, options }) => {
    const path = words === '' ? [] : words.split(' ');
    const seen = path.map((word) => `__fish_seen_subcommand_from ${word}`);
    const notYet =
      follows.length === 0
        ? []
        : [`not __fish_seen_subcommand_from ${follows.map((item) => item.word).join(' ')}`];
    const when = (conditions: readonly string[]) =>
      conditions.length === 0 ? '' : ` -n ${quote(conditions.join('; and '))}`;
    return [
      ...follows.map(
        (item) =>
          `complete -c edgekiln${when([...seen, ...notYet])} -f -a ${item.word} -d ${quote(item.summary)}`,
      ),
      ...options.map(
        (item) =>
          `complete -c edgekiln${when([...seen, ...notYet])} -l ${item.word.slice(2)}${taken(item)} -d ${quote(item.summary)}`,
      ),
    ];
  });
  return ['# fish completion for edgekiln', ...lines].join('\n');
}

/** In fish's words, what an option takes. */
function taken({ values, bare }: Flag): string {
  if (values.length > 0) return ` -x -a ${quote(values.join(' '))}`;
  return bare ? '' : ' -r';
}

/** One word of a POSIX shell, and of fish where it holds no backslash. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
