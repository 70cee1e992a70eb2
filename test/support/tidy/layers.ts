/**
 * Who may import whom (architecture, part 4), who may import which package, and that every file is used. Arrows
 * point down: a folder may use what its row names, itself, and the shapes below.
 */
import type { Finding, Import, SourceFile, Tree } from "./tree.ts";

/** Vocabulary that every folder may use. */
const base = ["errors", "lib", "protocol"];

/** Everything a stage may call on: each holds one capability and knows none of the others. */
export const capabilities = [
  "approvals",
  "audit",
  "cache",
  "compliance",
  "consents",
  "guard",
  "identity",
  "jobs",
  "limits",
  "policy",
  "privacy",
  "retention",
  "route",
  "sanitize",
  "schemas",
  "vault",
] as const;

/** Folder to folders it may import from. The two files directly in `src` stand for themselves. */
export const mayImport: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  gen: [],
  // One vocabulary in two folders: a message may hold a fault, and a fault is rendered as a message.
  errors: ["lib", "protocol"],
  protocol: ["errors", "lib"],
  storage: ["lib", "errors"],
  telemetry: ["lib"],
  config: ["errors", "lib"],
  state: [...base, "policy"],
  servers: base,
  console: base,
  pipeline: [...base, ...capabilities],
  agents: [...base, "pipeline"],
  admin: [...base, ...capabilities, "config", "gen", "state", "telemetry"],
  cli: [...base, "audit", "compose", "config", "gen", "identity", "storage", "telemetry"],
  compose: ["*"],
  "main.ts": [...base, "cli", "config", "telemetry"],
  ...Object.fromEntries(capabilities.map((folder) => [folder, base])),
};

/**
 * Shapes that several folders agree on. Their types may be imported from anywhere above the vocabulary, because a
 * type carries no behaviour; the values named here are error classes and constants that belong to the shape.
 */
const sharedShapes: Readonly<Record<string, "types" | "types and values">> = {
  "src/audit/record.ts": "types and values",
  "src/config/schema.ts": "types",
  "src/consents/desk.ts": "types",
  "src/identity/principal.ts": "types",
  "src/pipeline/exchange.ts": "types",
  "src/pipeline/incoming.ts": "types",
  "src/pipeline/stage.ts": "types",
  "src/policy/compile.ts": "types",
  "src/policy/rule.ts": "types",
  "src/servers/client.ts": "types",
  "src/servers/spec.ts": "types and values",
  "src/servers/user-access.ts": "types",
  "src/state/resources.ts": "types",
  "src/state/snapshot.ts": "types",
  "src/storage/store.ts": "types and values",
  "src/vault/sweeps.ts": "types",
  "src/telemetry/log.ts": "types",
  "src/telemetry/metrics.ts": "types",
  "src/vault/keys.ts": "types",
  "src/vault/store.ts": "types",
};

/** Package to the folders (or files) of `src` that may name it. Packages not listed may not be used in `src`. */
export const homes: Readonly<Record<string, readonly string[]>> = {
  "@grpc/grpc-js": ["src/admin/", "src/cli/admin-client.ts"],
  "@grpc/proto-loader": ["src/admin/", "src/cli/admin-client.ts"],
  "@marcbachmann/cel-js": ["src/policy/"],
  "@modelcontextprotocol/sdk": ["src/cli/"],
  // The spool's lock is an SQLite file's: the runtime has no flock.
  "bun:sqlite": ["src/storage/", "src/audit/spool/files.ts"],
  jose: ["src/identity/", "src/servers/credentials/", "src/cli/"],
  kysely: ["src/storage/"],
  "lru-cache": [
    "src/cache/",
    "src/identity/",
    "src/limits/",
    "src/policy/",
    "src/schemas/",
    "src/vault/",
  ],
  pg: ["src/storage/"],
  re2js: ["src/lib/linear-pattern.ts", "src/policy/", "src/schemas/"],
  "structured-headers": ["src/identity/"],
  ws: ["src/servers/"],
  zod: ["src/config/"],
};

export function checkLayers(tree: Tree): readonly Finding[] {
  return tree.flatMap((file) => {
    const folder = folderOf(file.path);
    const allowed = mayImport[folder];
    if (allowed === undefined) {
      return [finding(file, `folder ${folder} is not in the layering table (layers.ts)`)];
    }
    return file.imports
      .filter((one) => !one.isPackage && !isAllowed(folder, allowed, one))
      .map((one) => finding(file, `${folder} may not import ${one.target}`));
  });
}

export function checkHomes(tree: Tree): readonly Finding[] {
  return tree.flatMap((file) =>
    file.imports
      .filter((one) => one.isPackage && !one.target.startsWith("node:") && one.target !== "bun")
      .filter((one) => !(homes[one.target] ?? []).some((home) => file.path.startsWith(home)))
      .map((one) => {
        const home = homes[one.target]?.join(", ") ?? "none yet: add it to layers.ts with a reason";
        return finding(file, `imports ${one.target}, whose home is ${home}`);
      }),
  );
}

/** Every file is reached from an entry point; types count, since a shape may be all that a file holds. */
export function checkReachable(tree: Tree, entryPoints: readonly string[]): readonly Finding[] {
  const byPath = new Map(tree.map((file) => [file.path, file]));
  const reached = new Set<string>();
  const waiting = [...entryPoints];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (reached.has(path)) continue;
    reached.add(path);
    for (const one of byPath.get(path)?.imports ?? []) if (!one.isPackage) waiting.push(one.target);
  }
  return tree
    .filter((file) => !reached.has(file.path))
    .map((file) => finding(file, "no entry point reaches this file: use it or remove it"));
}

function isAllowed(folder: string, allowed: readonly string[], one: Import): boolean {
  const target = folderOf(one.target);
  // Where the version is written in; a compiled-in JSON file is not a folder of ours.
  if (!one.target.startsWith("src/")) return /\.(?:json|html|ya?ml|md|txt|proto)$/.test(one.target);
  if (target === folder || allowed.includes("*") || allowed.includes(target)) return true;
  const shape = sharedShapes[one.target];
  const isVocabulary = ["lib", "gen", "errors", "protocol"].includes(folder);
  if (shape === undefined || isVocabulary) return false;
  return one.isTypeOnly || shape === "types and values";
}

function folderOf(path: string): string {
  return path.split("/")[1] ?? path;
}

function finding(file: SourceFile, message: string): Finding {
  return { path: file.path, message };
}
