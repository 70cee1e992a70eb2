/**
 * deploy/verify-audit.mjs, run by Node as its users run it. One process answers many questions, one a line, because a
 * start costs more than a verification.
 */
import { join } from "node:path";

export interface IndependentFinding {
  readonly exitCode: number;
  readonly ok: boolean;
  readonly violation?: { readonly seq: number; readonly kind: string; readonly message: string };
  readonly undecided?: { readonly seq: number; readonly kind: string; readonly records: number };
  readonly error?: string;
  readonly logs?: readonly {
    readonly log: string;
    readonly records: number;
    readonly lastSeq: number;
    readonly covered: number;
    readonly counts: Readonly<Record<string, number>>;
  }[];
}

export interface IndependentVerifier extends Disposable {
  verify(args: readonly string[]): Promise<IndependentFinding>;
}

export const independentVerifierPath = join(import.meta.dir, "../../deploy/verify-audit.mjs");

const driver = `
  import { createInterface } from "node:readline";
  import { run } from ${JSON.stringify(independentVerifierPath)};
  for await (const line of createInterface({ input: process.stdin })) {
    let said = "";
    const exitCode = run(["--json", ...JSON.parse(line)], (text) => { said = text; });
    process.exitCode = 0;
    console.log(JSON.stringify({ exitCode, ...JSON.parse(said) }));
  }
`;

export function startIndependentVerifier(): IndependentVerifier {
  const node = Bun.spawn(["node", "--input-type=module", "--eval", driver], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  const lines = readLines(node.stdout);
  return {
    async verify(args) {
      node.stdin.write(`${JSON.stringify(args)}\n`);
      await node.stdin.flush();
      const { value } = await lines.next();
      if (value === undefined) throw new Error("the independent verifier ended");
      return JSON.parse(value);
    },
    [Symbol.dispose]: () => node.kill(),
  };
}

async function* readLines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, undefined> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = `${rest}${decoder.decode(chunk, { stream: true })}`.split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
  return undefined;
}
