/**
 * What an import would write, and what it could not carry. Each shape of file has a translator that fills a plan; the
 * `import` command shows it and sends it. Pure: nothing here reads a file or asks a gateway.
 */
import { CommandError } from "../command.ts";

/** In the order they are written: an import that stops half-way must not have granted before it denied. */
export const writeKinds = ["deny", "server", "role", "allow", "binding"] as const;
export type WriteKind = (typeof writeKinds)[number];

/** One object for the admin plane, in the words of its proto. */
export interface PlannedWrite {
  readonly kind: WriteKind;
  readonly name: string;
  readonly body: Readonly<Record<string, unknown>>;
  /** Where in the file it came from, such as `roles.analyst`. */
  readonly from: string;
}

/** Something that is not here what it was there, or is not here at all. */
export interface ImportNote {
  readonly outcome: "changed" | "left out";
  readonly where: string;
  readonly why: string;
}

export interface ImportPlan {
  readonly writes: readonly PlannedWrite[];
  readonly notes: readonly ImportNote[];
}

export interface PlanBuilder {
  write(kind: WriteKind, name: string, body: PlannedWrite["body"], from: string): void;
  changed(where: string, why: string): void;
  leftOut(where: string, why: string): void;
  /** A name of the gateway's own form; notes where that differs from the given one. */
  nameOf(given: string, where: string): string;
  build(): ImportPlan;
}

const nameCharsMax = 63;

export function createPlan(): PlanBuilder {
  const writes: PlannedWrite[] = [];
  const notes = new Map<string, ImportNote>();
  /** What each name was made of, so that two never become one. */
  const givenBy = new Map<string, string>();
  const note = (outcome: ImportNote["outcome"], where: string, why: string) =>
    void notes.set(`${outcome} ${where} ${why}`, { outcome, where, why });

  return {
    write: (kind, name, body, from) => {
      const clash = writes.find((one) => one.name === name && isRule(one.kind) === isRule(kind));
      if (clash !== undefined && (isRule(kind) || clash.kind === kind)) {
        refuseFile(from, `would be called "${name}", as ${clash.from} is already`);
      }
      writes.push({ kind, name, body: { name, ...body }, from });
    },
    changed: (where, why) => note("changed", where, why),
    leftOut: (where, why) => note("left out", where, why),
    nameOf(given, where) {
      const name = toName(given);
      if (name === "" || name === "all") {
        refuseFile(where, `"${given}" cannot be made a name of a-z, 0-9 and -`);
      }
      const known = givenBy.get(name) ?? given;
      if (known !== given) refuseFile(where, `"${given}" and "${known}" would both be "${name}"`);
      givenBy.set(name, given);
      if (name !== given) note("changed", where, `"${given}" is called "${name}" here`);
      return name;
    },
    build: () => ({
      writes: writeKinds.flatMap((kind) => writes.filter((one) => one.kind === kind)),
      notes: [...notes.values()],
    }),
  };
}

/** Nothing of a file is written where a part of it cannot be understood: what is missing might be a denial. */
export function refuseFile(where: string, why: string): never {
  throw new CommandError(`${where}: ${why}; nothing was imported`);
}

function isRule(kind: WriteKind): boolean {
  return kind === "deny" || kind === "allow";
}

function toName(given: string): string {
  return given
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-+|-+$/g, "")
    .slice(0, nameCharsMax);
}
