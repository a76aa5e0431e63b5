// What a verb of edgekiln-node is.

export interface Command {
  readonly name: string;
  /** One line for the list of verbs. */
  readonly summary: string;
  /** Options and an example, for `--help`. */
  readonly help: string;
  /** Runs it with the arguments behind its name. What it prints on stdout is data. */
  run(args: readonly string[]): Promise<void>;
}
