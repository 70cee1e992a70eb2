/**
 * The only reader of process.env. Lays preset, file, environment and flags over one another (the later wins), checks
 * the whole, and returns one frozen `Config` or refuses with every problem and its place. `serve` and `check-config`
 * both come through here, so a file that checks also starts.
 */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import type { z } from "zod";
import { findNearest } from "../lib/nearest.ts";
import { buildConfig, type Config } from "./config.ts";
import { findDevIssuer, withDevIssuer } from "./dev-issuer.ts";
import * as envTable from "./environment.ts";
import { readEnvironmentIssuer } from "./issuer-environment.ts";
import { isRecord, mergeInto, setPath } from "./merge.ts";
import { findOddities } from "./oddities.ts";
import { isStrict, type PresetName, presetNames, presets } from "./presets.ts";
import { ConfigError, type ConfigProblem } from "./problem.ts";
import { findRisks } from "./risks.ts";
import { type ConfigValues, configSchema } from "./schema.ts";
import { readSecrets } from "./secret-files.ts";
import { readEnvironmentSinks } from "./sink-environment.ts";
import { parseYaml } from "./yaml.ts";

/** Values of flags, by configuration path, with the flag's name for error messages. */
export type FlagValues = Readonly<
  Record<string, { readonly flag: string; readonly value: string | number | boolean }>
>;

export interface ConfigRequest {
  readonly file?: string | undefined;
  readonly preset?: string | undefined;
  readonly flags?: FlagValues | undefined;
}

interface Layers {
  /** All layers merged, not yet checked. */
  readonly merged: Record<string, unknown>;
  readonly warnings: readonly string[];
  /** Where the value of a path came from. */
  locate(path: string): string;
}

/** Loads the configuration; throws `ConfigError` with everything that is wrong. */
export function loadConfig(
  request: ConfigRequest,
  environment: envTable.Environment = process.env,
): Config {
  refuse([...envTable.findHostileNames(environment), ...envTable.findUnknownNames(environment)]);
  const preset = parsePreset(request.preset ?? (environment.MCP_GATEWAY_PRESET || undefined));
  const file = request.file ?? (environment.MCP_GATEWAY_CONFIG || undefined);
  const layers = layer(preset, file, environment, request.flags ?? {});
  const values = withDevIssuer(check(layers));
  const secrets = readSecrets(values, layers.locate);
  const risks = findRisks(values, secrets, isStrict(preset));
  refuse(
    risks.map((risk) => {
      const under = isStrict(preset) ? `refused under the ${preset} preset` : "refused";
      return {
        where: layers.locate(risk.path),
        message: `${under} (${risk.name}): ${risk.message}`,
      };
    }),
  );
  const authorities = envTable.findExtraAuthorities(environment);
  if (isStrict(preset)) {
    refuse(
      authorities.map(({ where, message }) => ({
        where,
        message: `refused under ${preset}: ${message}; unset it`,
      })),
    );
  }
  const warnings = [
    ...findDevIssuer(values),
    ...(values.audit.enabled ? [] : ["audit.enabled is false: NOTHING THAT HAPPENS IS RECORDED"]),
    ...values.i_accept.map((risk) => `the risk "${risk}" is accepted by configuration`),
    ...authorities.map(({ where, message }) => `${where}: ${message}`),
    ...layers.warnings,
    ...findOddities(values),
  ];
  const stdioEnvironment = envTable.pickStdioEnvironment(environment);
  return buildConfig(values, secrets, { preset, stdioEnvironment, warnings });
}

/** For `demo` and `dev`: the environment gives nothing but what stdio servers inherit. */
export function loadLocalConfig(request: ConfigRequest): Config {
  return loadConfig(request, envTable.pickStdioEnvironment(process.env));
}

/** The environment's say in where clients of a running gateway look; blank counts as not set. */
export function readClientEnvironment(environment: envTable.Environment = process.env): {
  readonly admin: string | undefined;
  readonly url: string | undefined;
  readonly tokenFile: string | undefined;
  readonly dataDir: string | undefined;
  readonly noColor: boolean;
} {
  return {
    admin: environment.MCP_GATEWAY_ADMIN || undefined,
    url: environment.MCP_GATEWAY_URL || undefined,
    tokenFile: environment.MCP_GATEWAY_TOKEN_FILE || undefined,
    dataDir: environment.MCP_GATEWAY_DATA_DIR || undefined,
    noColor: (environment.NO_COLOR ?? "") !== "",
  };
}

function refuse(problems: readonly ConfigProblem[]): void {
  if (problems.length > 0) throw new ConfigError(problems);
}

function parsePreset(name: string | undefined): PresetName | undefined {
  if (name === undefined) return undefined;
  const known = presetNames.find((preset) => preset === name);
  if (known === undefined) {
    const message = `no preset is called "${name}"; there are ${presetNames.join(", ")}`;
    throw new ConfigError([{ where: "preset", message }]);
  }
  return known;
}

function layer(
  preset: PresetName | undefined,
  file: string | undefined,
  environment: envTable.Environment,
  flags: FlagValues,
): Layers {
  const origins = new Map<string, string>();
  const merged: Record<string, unknown> = {};
  if (preset !== undefined) mergeInto(merged, presets[preset]);
  const fromFile = file === undefined ? undefined : readFile(file);
  if (fromFile !== undefined) mergeInto(merged, fromFile.value);
  for (const [name, { path, type }] of Object.entries(envTable.overrides)) {
    const text = environment[name];
    if (text === undefined || text === "") continue;
    const isNumber = type === "number" && /^\d+$/.test(text);
    setPath(merged, path, isNumber ? Number(text) : text);
    origins.set(path, name);
  }
  const warnings = addEnvironmentIssuer(merged, environment, origins);
  addEnvironmentSinks(merged, environment, origins);
  for (const [path, { flag, value }] of Object.entries(flags)) {
    setPath(merged, path, value);
    origins.set(path, flag);
  }
  const otherwise = preset === undefined ? "configuration" : `preset ${preset}`;
  return {
    merged,
    warnings,
    // A variable that lists several is named for each of them.
    locate: (path) =>
      origins.get(path.replace(/(?<=\w)\[\d+\]$/, "")) ??
      origins.get(path) ??
      fromFile?.locate(path) ??
      `${otherwise}: ${path}`,
  };
}

/** After those of the file; whoever names one issuer in both places is told so when the gateway starts. */
function addEnvironmentIssuer(
  merged: Record<string, unknown>,
  environment: envTable.Environment,
  origins: Map<string, string>,
): readonly string[] {
  const found = readEnvironmentIssuer(environment);
  if (found.issuer === undefined) return found.warnings;
  const jwt = isRecord(merged.identity) ? merged.identity.jwt : undefined;
  const before = isRecord(jwt) && Array.isArray(jwt.issuers) ? jwt.issuers : [];
  const place = `identity.jwt.issuers[${before.length}]`;
  setPath(merged, "identity.jwt.issuers", [...before, found.issuer]);
  origins.set(place, [...found.origins.values()].join(", "));
  for (const [key, name] of found.origins) origins.set(`${place}.${key}`, name);
  return found.warnings;
}

function addEnvironmentSinks(
  merged: Record<string, unknown>,
  environment: envTable.Environment,
  origins: Map<string, string>,
): void {
  for (const { sink, origin } of readEnvironmentSinks(environment)) {
    const audit = isRecord(merged.audit) ? merged.audit : undefined;
    const before = Array.isArray(audit?.sinks) ? audit.sinks : [];
    setPath(merged, "audit.sinks", [...before, sink]);
    origins.set(`audit.sinks[${before.length}].path`, origin);
  }
}

function readFile(path: string): { readonly value: object; locate(path: string): string } {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ConfigError([{ where: path, message: `the file cannot be read: ${why}` }]);
  }
  const parsing = parseYaml(text, basename(path));
  if ("problems" in parsing) throw new ConfigError(parsing.problems);
  const { value } = parsing.parsed;
  if (value === null || value === undefined) {
    const message = "the file is empty; write at least one key, or start without --config";
    throw new ConfigError([{ where: basename(path), message }]);
  }
  if (typeof value !== "object" || Array.isArray(value)) {
    const message = "the file must be a mapping of sections, such as `agents:`";
    throw new ConfigError([{ where: `${basename(path)}:1`, message }]);
  }
  return { value, locate: parsing.parsed.locate };
}

function check(layers: Layers): ConfigValues {
  const checked = configSchema.safeParse(layers.merged);
  if (checked.success) return checked.data;
  throw new ConfigError(checked.error.issues.flatMap((issue) => renderIssue(issue, layers)));
}

function renderIssue(issue: z.core.$ZodIssue, layers: Layers): readonly ConfigProblem[] {
  const path = issue.path.reduce<string>((before, step) => {
    if (typeof step === "number") return `${before}[${step}]`;
    return before === "" ? String(step) : `${before}.${String(step)}`;
  }, "");
  if (issue.code !== "unrecognized_keys") {
    const message = `${path === "" ? "" : `${path}: `}${issue.message}`;
    return [{ where: layers.locate(path), message }];
  }
  const known = knownKeys(issue.path);
  return issue.keys.map((key) => {
    const full = path === "" ? key : `${path}.${key}`;
    const nearest = findNearest(key, known);
    const hint =
      nearest === undefined ? `known here: ${known.join(", ")}` : `did you mean ${nearest}?`;
    return { where: layers.locate(full), message: `unknown key ${full}; ${hint}` };
  });
}

/** The keys the schema knows at a path, found by walking its definition. */
function knownKeys(path: readonly PropertyKey[]): readonly string[] {
  let schema: unknown = configSchema;
  for (const step of path) {
    const inner = unwrap(schema);
    const shape = inner.shape;
    // A map of names to sections has one shape for all of them.
    const named = isRecord(shape) ? shape[String(step)] : (inner.valueType ?? {});
    schema = typeof step === "number" ? inner.element : named;
  }
  const shape = unwrap(schema).shape;
  return isRecord(shape) ? Object.keys(shape) : [];
}

function unwrap(schema: unknown): Record<string, unknown> {
  if (!isRecord(schema)) return {};
  const def = schema.def;
  const inner = isRecord(def) ? def.innerType : undefined;
  return inner === undefined ? schema : unwrap(inner);
}
