/**
 * The worked examples of `docs/policy.md` as data: what operators write, what callers bring, and what each is answered.
 * Reads the document as it stands; whatever is not in the expected form is an error, so that no example is skipped.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { AdminMessage } from "./admin-client.ts";
import { repository } from "./gateway-process.ts";

export interface CallerText {
  /** A registered client; then there is nothing else. */
  readonly client?: string;
  readonly sub?: string;
  readonly roles?: readonly string[];
  readonly groups?: readonly string[];
  readonly tenant?: string;
  readonly workspace?: string;
  readonly scope?: string;
  readonly acr?: string;
  readonly logged_in_seconds_ago?: number;
}

export interface ExampleObjects {
  readonly clients?: readonly (AdminMessage & { readonly id: string })[];
  readonly roles?: readonly NamedObject[];
  readonly bindings?: readonly NamedObject[];
  readonly rules?: readonly NamedObject[];
  readonly tool_settings?: Readonly<Record<string, readonly AdminMessage[]>>;
  readonly callers: Readonly<Record<string, CallerText>>;
}

type NamedObject = AdminMessage & { readonly name: string; readonly tenant?: string };

export interface ExampleRow {
  readonly who: string;
  readonly kind: "tool" | "prompt" | "resource";
  readonly server: string;
  readonly target: string;
  readonly args: Readonly<Record<string, unknown>> | undefined;
  /** `ok`, `unknown`, or an error's code and name. */
  readonly answer: string;
  /** Must be in the answer's text, or in the challenge. */
  readonly holds: string | undefined;
  readonly decidedBy: string;
}

export interface PolicyExample {
  readonly title: string;
  readonly objects: ExampleObjects;
  readonly rows: readonly ExampleRow[];
}

export function readPolicyExamples(): readonly PolicyExample[] {
  const text = readFileSync(join(repository, "docs/policy.md"), "utf8");
  const [, ...sections] = text.split(/^### (?=\d+\. )/m);
  return sections.map((section) => {
    const title = section.slice(0, section.indexOf("\n"));
    const own = section.split(/^## /m)[0] ?? "";
    const json = /```json\n(.*?)```/s.exec(own)?.[1];
    if (json === undefined) throw new Error(`example ${title} has no objects`);
    const rows = own
      .split("\n")
      .filter((line) => line.startsWith("| ") && !line.startsWith("| who "))
      .map(readRow);
    if (rows.length === 0) throw new Error(`example ${title} asks nothing`);
    return { title, objects: JSON.parse(json), rows };
  });
}

const rowForm =
  /^\| (\w+) \| (tool|prompt|resource) ([\w-]+) (\S+)(?: `(\{.*\})`)? \| ([\w -]+?)(?:: `(.+)`)? \| ([\w:-]+) \|$/;

function readRow(line: string): ExampleRow {
  const [, who, kind, server, target, args, answer, holds, decidedBy] = rowForm.exec(line) ?? [];
  if (kind !== "tool" && kind !== "prompt" && kind !== "resource") {
    throw new Error(`a row of another form: ${line}`);
  }
  return {
    who: who ?? "",
    kind,
    server: server ?? "",
    target: target ?? "",
    args: args === undefined ? undefined : JSON.parse(args),
    answer: answer ?? "",
    holds,
    decidedBy: decidedBy ?? "",
  };
}
