/**
 * Every MCP method in one table: which eras have it, which params member names its target, what kind of target
 * that is, and which result member is a list. Stages and edges look methods up here and never compare names.
 */
import type { Era } from "./revisions.ts";

export type TargetKind = "tool" | "prompt" | "resource";

/** For each member that is a list: what its elements are, and the member of theirs that names them. */
export const lists = {
  tools: { target: "tool", key: "name" },
  prompts: { target: "prompt", key: "name" },
  resources: { target: "resource", key: "uri" },
  resourceTemplates: { target: "resource", key: "uriTemplate" },
  skills: { target: "resource", key: "uri" },
} as const satisfies Readonly<Record<string, { target: TargetKind; key: string }>>;

export type ListMember = keyof typeof lists;

export interface MethodFacts {
  readonly method: string;
  readonly eras: readonly Era[];
  /** The params member that names the target. */
  readonly nameMember: "name" | "uri" | "taskId" | undefined;
  /** That member is mirrored in `Mcp-Name`. */
  readonly isNameMirrored: boolean;
  /** What a call acts on, or what a list lists. */
  readonly target: TargetKind | undefined;
  /** The result member that holds the list, for list methods. */
  readonly listMember: ListMember | undefined;
  /** Modern results of it carry `ttlMs` and `cacheScope`. */
  readonly cacheable: boolean;
  /** The server capability it needs. */
  readonly capability: "tools" | "prompts" | "resources" | "completions" | undefined;
  /** It is about a task, so its request must declare the tasks extension; its target is the task's tool. */
  readonly isAboutTask: boolean;
  /** It belongs to the skills extension: a skill is a resource by its URI, of one server's own scope. */
  readonly isAboutSkills: boolean;
  /** It has no answer of its own: it lasts until the agent or the gateway ends it. */
  readonly lasts: boolean;
}

const both: readonly Era[] = ["legacy", "modern"];
const legacyOnly: readonly Era[] = ["legacy"];

function facts(method: string, more: Partial<MethodFacts> = {}): readonly [string, MethodFacts] {
  return [
    method,
    {
      method,
      eras: both,
      nameMember: undefined,
      isNameMirrored: more.nameMember !== undefined,
      target: undefined,
      listMember: undefined,
      cacheable: false,
      capability: undefined,
      isAboutTask: false,
      isAboutSkills: false,
      lasts: false,
      ...more,
    },
  ];
}

function aboutTask(method: string): readonly [string, MethodFacts] {
  const eras: readonly Era[] = ["modern"];
  return facts(method, { eras, target: "tool", nameMember: "taskId", isAboutTask: true });
}

/** The extension says nothing of `Mcp-Name`, and the official client sends none. */
function aboutSkills(method: string, more: Partial<MethodFacts>): readonly [string, MethodFacts] {
  return facts(method, {
    eras: ["modern"],
    target: "resource",
    cacheable: true,
    isAboutSkills: true,
    isNameMirrored: false,
    ...more,
  });
}

export const methods: ReadonlyMap<string, MethodFacts> = new Map([
  facts("initialize", { eras: legacyOnly }),
  facts("ping", { eras: legacyOnly }),
  facts("logging/setLevel", { eras: legacyOnly }),
  facts("server/discover", { eras: ["modern"], cacheable: true }),
  facts("tools/list", {
    target: "tool",
    listMember: "tools",
    cacheable: true,
    capability: "tools",
  }),
  facts("tools/call", { target: "tool", nameMember: "name", capability: "tools" }),
  facts("prompts/list", {
    target: "prompt",
    listMember: "prompts",
    cacheable: true,
    capability: "prompts",
  }),
  facts("prompts/get", { target: "prompt", nameMember: "name", capability: "prompts" }),
  facts("resources/list", {
    target: "resource",
    listMember: "resources",
    cacheable: true,
    capability: "resources",
  }),
  facts("resources/templates/list", {
    target: "resource",
    listMember: "resourceTemplates",
    cacheable: true,
    capability: "resources",
  }),
  facts("resources/read", {
    target: "resource",
    nameMember: "uri",
    cacheable: true,
    capability: "resources",
  }),
  facts("completion/complete", { capability: "completions" }),
  aboutTask("tasks/get"),
  aboutTask("tasks/update"),
  aboutTask("tasks/cancel"),
  aboutSkills("skills/list", { listMember: "skills" }),
  aboutSkills("skills/get", { nameMember: "uri" }),
  aboutSkills("resources/directory/read", { nameMember: "uri", listMember: "resources" }),
  facts("subscriptions/listen", { eras: ["modern"], lasts: true }),
]);

export function methodFacts(method: string, era: Era): MethodFacts | undefined {
  const found = methods.get(method);
  return found?.eras.includes(era) ? found : undefined;
}
