// edgekiln completion SHELL: made from the command line's own tree, so it can never be behind it.
import { Argument, type Command } from 'commander';
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
  readonly options: readonly { readonly word: string; readonly summary: string }[];
}

function nodesOf(command: Command, words: readonly string[] = []): Node[] {
  const options = [...command.options, { long: '--help', description: 'show help' }].flatMap((option) =>
    option.long ? [{ word: option.long, summary: option.description }] : [],
  );
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
    const list = (items: Node['options']) => items.map((item) => item.word).join(' ');
    return `    '${words}') follows='${list(follows)}'; options='${list(options)}' ;;`;
  });
  return `# bash completion for edgekiln
_edgekiln() {
  local current=\${COMP_WORDS[COMP_CWORD]} trail='' word follows='' options=''
${walk(nodes, `"\${COMP_WORDS[@]:1:COMP_CWORD-1}"`)}
  case "$trail" in
${cases.join('\n')}
  esac
  # Where no word follows, bash completes file names by itself.
  if [[ $current == -* ]]; then COMPREPLY=($(compgen -W "$options" -- "$current"))
  else COMPREPLY=($(compgen -W "$follows" -- "$current")); fi
}
complete -o default -F _edgekiln edgekiln`;
}

function zsh(nodes: readonly Node[]): string {
  const cases = nodes.map(({ words, follows, options }) => {
    const list = (items: Node['options']) =>
      items.map((item) => quote(`${item.word}:${item.summary.replaceAll(':', '\\:')}`)).join(' ');
    return `    ('${words}') follows=(${list(follows)}); options=(${list(options)}) ;;`;
  });
  return `#compdef edgekiln
_edgekiln() {
  local trail='' word
  local -a follows options
${walk(nodes, `"\${(@)words[2,CURRENT-1]}"`)}
  case "$trail" in
${cases.join('\n')}
  esac
  if [[ $words[CURRENT] == -* ]]; then _describe -o option options
  elif (( $#follows )); then _describe word follows
  else _files; fi
}
# Read from a folder of fpath, this file is the function itself; sourced, it must be announced.
if [[ $funcstack[1] == _edgekiln ]]; then _edgekiln; else compdef _edgekiln edgekiln; fi`;
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
          `complete -c edgekiln${when([...seen, ...notYet])} -l ${item.word.slice(2)} -d ${quote(item.summary)}`,
      ),
    ];
  });
  return ['# fish completion for edgekiln', ...lines].join('\n');
}

/** One word of a POSIX shell, and of fish where it holds no backslash. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
