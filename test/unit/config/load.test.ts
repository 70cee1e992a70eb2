/** Loading: layers, refusals with their places, secrets, presets. */
import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Environment } from "../../../src/config/environment.ts";
import { type ConfigRequest, loadConfig } from "../../../src/config/load.ts";
import { presetNames } from "../../../src/config/presets.ts";
import { ConfigError } from "../../../src/config/problem.ts";

const folder = mkdtempSync(join(tmpdir(), "mcpgw-config-"));
afterAll(() => rmSync(folder, { recursive: true }));
let written = 0;

function write(text: string, mode = 0o600): string {
  written += 1;
  const path = join(folder, `f${written}.yaml`);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

function refusal(request: ConfigRequest, environment: Environment = {}): string {
  try {
    loadConfig(request, environment);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return "accepted";
}

test("F04: defaults stand without a file", () => {
  const config = loadConfig({}, {});
  expect(config.agents).toMatchObject({ host: "127.0.0.1", port: 8000, bodyBytesMax: 4194304 });
  expect(config.admin.port).toBe(50051);
  expect(config.ops.port).toBe(9464);
  expect(config.database.url).toBeUndefined();
});

test("the later layer wins: preset, file, environment, flag", () => {
  const file = write("agents:\n  host: 127.0.0.2\n  port: 1\nadmin:\n  port: 2\nops:\n  port: 3\n");
  const environment = { MCP_GATEWAY_ADMIN_PORT: "22", MCP_GATEWAY_OPS_PORT: "33" };
  const flags = { "ops.port": { flag: "--ops-port", value: 333 } };
  const config = loadConfig({ file, preset: "production", flags }, environment);
  const ports = [config.agents.port, config.admin.port, config.ops.port];
  expect([config.agents.host, ...ports]).toEqual(["127.0.0.2", 1, 22, 333]);
});

describe("CF-01: refused, with place and advice", () => {
  const table: readonly (readonly [string, string, string])[] = [
    [
      "an unknown key",
      "agents:\n  prot: 1\n",
      "yaml:2:3: unknown key agents.prot; did you mean port?",
    ],
    ["an unknown section", "agnets: {}\n", "yaml:1:1: unknown key agnets; did you mean agents?"],
    ["a key far from any other", "zzzzzz: 1\n", "known here: data_dir"],
    [
      "a wrong type",
      "agents:\n  port: eighty\n",
      "yaml:2:3: agents.port: Invalid input: expected number",
    ],
    ["a port out of range", "ops:\n  port: 70000\n", "yaml:2:3: ops.port: Too big"],
    ["a blank section", "agents:\n", "yaml:1:1: agents: Invalid input: expected object"],
    ["a blank field", 'data_dir: ""\n', "yaml:1:1: data_dir: Too small"],
    ["an empty file", "", "the file is empty"],
    ["only comments", "# nothing\n", "the file is empty"],
    ["a list", "- a\n", "must be a mapping"],
    ["an unknown choice", "log:\n  level: loud\n", "yaml:2:3: log.level: Invalid option"],
    [
      "an unknown key in a list",
      "admin:\n  operators:\n    - name: x\n      roles: [admin]\n      token_sha255: y\n",
      "yaml:5:7: unknown key admin.operators[0].token_sha255; did you mean token_sha256?",
    ],
    // None of these may come to mean "of all tenants" (AZ-15).
    ...['""', "", "[]", '"a\\u0000"'].map((tenant): [string, string, string] => [
      `an operator of the tenant ${tenant || "nothing"}`,
      `admin:\n  operators:\n    - name: x\n      roles: [admin]\n      tenant: ${tenant}\n`,
      "admin.operators[0].tenant: ",
    ]),
    [
      "two sources of keys",
      "identity: {jwt: {issuers: [{issuer: i, audiences: [a], algorithms: [RS256], jwks_file: a, jwks_url: 'https://a'}]}}\n",
      "give only one of jwks_url",
    ],
    [
      "J05 an issuer without audience",
      "identity: {jwt: {issuers: [{issuer: i, algorithms: [RS256]}]}}\n",
      "give audiences, or audience: resource",
    ],
    [
      "J04 an issuer without algorithms",
      "identity: {jwt: {issuers: [{issuer: i, audiences: [a]}]}}\n",
      "give algorithms, or a provider",
    ],
    [
      "J07 a skew beyond 30 seconds",
      "identity: {jwt: {issuers: [{issuer: i, audiences: [a], algorithms: [RS256], clock_skew_seconds: 60}]}}\n",
      "clock_skew_seconds: Too big",
    ],
    [
      "A13 a Keycloak without its realm",
      "identity: {jwt: {issuers: [{keycloak_url: 'https://k', audiences: [a]}]}}\n",
      "keycloak_url and realm go together",
    ],
    [
      "J13 introspection that believes an answer for an hour",
      "identity: {jwt: {issuers: [{issuer: i, audiences: [a], introspection: {url: 'https://i', client_id: c, client_secret: s, remember_seconds: 3600}}]}}\n",
      "remember_seconds: Too big",
    ],
  ];
  for (const [name, text, expected] of table) {
    test(name, () => expect(refusal({ file: write(text) })).toContain(expected));
  }

  test("every problem is told at once", () => {
    const told = refusal({ file: write("agents:\n  port: x\n  prot: 1\nlgo: {}\n") });
    expect(told.split("\n")).toHaveLength(3);
  });

  test("a missing file", () => {
    expect(refusal({ file: join(folder, "none.yaml") })).toContain("cannot be read");
  });

  test("an unknown preset", () => {
    expect(refusal({ preset: "prod" })).toContain("no preset is called");
  });
});

describe("environment", () => {
  const table: readonly (readonly [string, Environment, string])[] = [
    [
      "F01: a name of ours that nobody reads",
      { MCP_GATEWAY_PROT: "1" },
      "did you mean MCP_GATEWAY_PORT?",
    ],
    ["a port that is no number", { MCP_GATEWAY_PORT: "x" }, "MCP_GATEWAY_PORT: agents.port"],
    [
      "CF-06: certificate checks off",
      { NODE_TLS_REJECT_UNAUTHORIZED: "0" },
      "certificate checks off",
    ],
    ["CF-06: BUN_OPTIONS", { BUN_OPTIONS: "--preload x" }, "BUN_OPTIONS: refused"],
    [
      "CF-06: verbose fetch",
      { BUN_CONFIG_VERBOSE_FETCH: "1" },
      "BUN_CONFIG_VERBOSE_FETCH: refused",
    ],
    ["a Redis that is none", { REDIS_URL: "http://x" }, "REDIS_URL: limits.redis_url"],
    [
      "a database that is not PostgreSQL",
      { DATABASE_URL: "mysql://x" },
      "DATABASE_URL: database.url",
    ],
  ];
  for (const [name, environment, expected] of table) {
    test(name, () => expect(refusal({}, environment)).toContain(expected));
  }

  test("CF-06: extra authorities warn, and are refused under production", () => {
    const environment = { NODE_EXTRA_CA_CERTS: "/x.pem" };
    expect(loadConfig({}, environment).warnings.join()).toContain("NODE_EXTRA_CA_CERTS");
    expect(refusal({ preset: "production" }, environment)).toContain("NODE_EXTRA_CA_CERTS");
  });

  test("stdio servers inherit six names and no more", () => {
    const environment = {
      PATH: "/bin",
      HOME: "/h",
      SHELL: "() { x; }",
      DATABASE_URL: "postgres://u:p@h/d",
    };
    expect(loadConfig({}, environment).stdioEnvironment).toEqual({ PATH: "/bin", HOME: "/h" });
  });
});

describe("secrets", () => {
  test("F11: the database URL comes from a file and prints as [redacted]", () => {
    const config = loadConfig({}, { DATABASE_URL_FILE: write("postgres://u:hunter2@h/d\n") });
    expect(config.database.url?.reveal()).toBe("postgres://u:hunter2@h/d");
    expect(`${JSON.stringify(config)}${Bun.inspect(config)}${config.database.url}`).not.toContain(
      "hunter2",
    );
  });

  test("CF-04: a file that every user may read is refused", () => {
    expect(refusal({}, { DATABASE_URL_FILE: write("postgres://h/d", 0o644) })).toContain(
      "chmod 600",
    );
  });

  test("CF-04: a missing file is refused", () => {
    expect(refusal({}, { DATABASE_URL_FILE: "/none" })).toContain("DATABASE_URL_FILE: the secret");
  });

  test("given twice is refused", () => {
    const environment = { DATABASE_URL: "postgres://h/d", DATABASE_URL_FILE: "/x" };
    expect(refusal({}, environment)).toContain("give the database URL once");
  });

  test("AN: a short shared secret is refused under every preset", () => {
    const file = write(
      "identity:\n  jwt:\n    issuers:\n      - issuer: i\n        audiences: [a]\n        algorithms: [HS256]\n        secret: short\n",
    );
    for (const preset of [undefined, ...presetNames]) {
      expect(refusal({ file, preset })).toContain("yaml:7:9: refused");
    }
    expect(refusal({ file })).not.toContain("short\n");
  });
});

describe("F07, CF-02: presets", () => {
  test("each loads by itself", () => {
    for (const preset of presetNames) expect(refusal({ preset })).toBe("accepted");
  });

  test("production listens everywhere, development does not", () => {
    expect(loadConfig({ preset: "production" }, {}).agents.host).toBe("0.0.0.0");
    expect(loadConfig({ preset: "development" }, {}).agents.host).toBe("127.0.0.1");
  });

  const relaxations: readonly (readonly [string, string])[] = [
    ["anonymous-access", "identity: {anonymous: true}"],
    ["private-network-servers", "servers: {allow_private_network: true}"],
    ["unrecorded-calls", "audit: {class_b_on_failure: open}"],
    ["audit-off", "audit: {enabled: false}"],
    ["unmasked-results", "sanitize: {enabled: false}"],
    ["unchecked-arguments", "validation: {tool_arguments: false}"],
    ["admin-without-tls", "admin: {host: 0.0.0.0}"],
    ["any-origin", 'agents: {allowed_origins: ["*"]}'],
    ["insecure-cookies", "agents: {insecure_cookies: true}"],
    ["plain-http-public-url", "agents: {public_url: 'http://mcp.example'}"],
    ["dev-issuer", "identity: {dev_issuer: {enabled: true}}"],
    ["accepted-risks", "i_accept: [any-origin]"],
    [
      "plain-sinks",
      "audit: {sinks: [{name: a, kind: syslog, address: '192.0.2.1:514', transport: udp}]}",
    ],
    ["plain-sinks", "audit: {sinks: [{name: a, kind: otlp, url: 'http://192.0.2.1/v1/logs'}]}"],
  ];
  for (const [name, text] of relaxations) {
    test(`production refuses ${name}`, () => {
      const told = refusal({ file: write(`${text}\n`), preset: "production" });
      expect(told).toContain(`refused under the production preset (${name})`);
    });
  }

  test("elsewhere an exposure needs its acceptance by name", () => {
    const open = "admin: {host: 0.0.0.0}\n";
    expect(refusal({ file: write(open) })).toContain("refused (admin-without-tls)");
    const config = loadConfig({ file: write(`${open}i_accept: [admin-without-tls]\n`) }, {});
    expect(config.warnings.join()).toContain("admin-without-tls");
  });
});

test("AN-22: a shared secret that is a sample's, or hardly random, stops the start", () => {
  const told = (secret: string) => {
    const issuer = `{issuer: i, audiences: [a], algorithms: [HS256], secret: "${secret}"}`;
    return refusal({ file: write(`identity: {jwt: {issuers: [${issuer}]}}\n`) });
  };
  for (const secret of [
    "your-secret-key-change-in-production",
    "changemechangemechangemechangeme",
    "this-is-an-example-of-a-long-value",
    "0123012301230123012301230123012301230123",
    "too-short",
  ]) {
    expect(told(secret), secret).toContain("weak-secret");
    expect(told(secret)).not.toContain(secret);
  }
  expect(told("Jq7Wz0nV3kLxT9sRb2YcHf5Gd8MuEaPi")).toBe("accepted");
});

test("A12: the development issuer is believed like another, and said aloud", () => {
  const config = loadConfig({ file: write("identity: {dev_issuer: {enabled: true}}\n") }, {});
  const [own] = config.identity.jwt.issuers;
  expect(own).toMatchObject({ audiences: ["mcp-gateway"], algorithms: ["ES256"] });
  expect(own?.jwksFile).toEndWith("dev-issuer.jwks.json");
  expect(config.warnings.join()).toContain("identity.dev_issuer is on");
});

test("the configuration is frozen all the way down", () => {
  const config = loadConfig({}, {});
  expect(Object.isFrozen(config.agents.allowedOrigins)).toBe(true);
  expect(Object.isFrozen(config.identity.jwt)).toBe(true);
});

describe("files shipped in config/", () => {
  const root = new URL("../../../config/", import.meta.url).pathname;

  test("gateway.yaml states exactly the defaults", () => {
    expect(loadConfig({ file: join(root, "gateway.yaml") }, {})).toEqual(loadConfig({}, {}));
  });

  test("the examples load", () => {
    for (const name of readdirSync(join(root, "examples"))) {
      expect(refusal({ file: join(root, "examples", name) })).toBe("accepted");
    }
  });
});

test("TH-02: a gateway on every address that no name leads to says so", () => {
  const nameless = "only requests for loopback names";
  expect(loadConfig({ preset: "production" }, {}).warnings.join()).toContain(nameless);
  expect(loadConfig({}, {}).warnings.join()).not.toContain(nameless);
});
