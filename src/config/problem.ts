/**
 * What is wrong with a configuration, as values: where, and what would be right. `load.ts` collects every problem
 * before it refuses, so that one look at the answer mends the whole file.
 */
export interface ConfigProblem {
  /** `gateway.yaml:12:3`, `MCP_GATEWAY_PORT`, `--port` or `preset production`. */
  readonly where: string;
  readonly message: string;
}

export class ConfigError extends Error {
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    super(problems.map((problem) => `${problem.where}: ${problem.message}`).join("\n"));
    this.name = "ConfigError";
    this.problems = problems;
  }
}
