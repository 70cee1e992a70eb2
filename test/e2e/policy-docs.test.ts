/**
 * Every example of docs/policy.md through the compiled executable: its objects are written over gRPC, each row is asked
 * as a real call over every transport and in both eras, against the lists the same caller sees (P23), and of Explain,
 * which must agree with the call and name the same rule (P15).
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { SignJWT } from "jose";
import { registerClient } from "../support/operator.ts";
import {
  type CallerText,
  type ExampleObjects,
  type ExampleRow,
  type PolicyExample,
  readPolicyExamples,
} from "../support/policy-examples.ts";
import { type SampleGateway, startSampleGateway } from "../support/sample-gateway.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { eraOf, mustOpenWire, requestText, transports, type Wire } from "../support/wires.ts";

/** A claim that an issuer is configured with must be in its tokens, so each kind of caller has its own issuer. */
const issuers = [
  { issuer: "https://idp.example" },
  { issuer: "https://tenants.example", tenant_claim: "tenant" },
  { issuer: "https://workspaces.example", workspace_claim: "workspace" },
];
const issuerOf = (caller: CallerText) =>
  issuers[caller.tenant !== undefined ? 1 : caller.workspace !== undefined ? 2 : 0]?.issuer;
const audience = "https://gateway.example/mcp";
const secret = crypto.getRandomValues(Buffer.alloc(64)).toString("hex");
const examples = readPolicyExamples();
const stack = new AsyncDisposableStack();
let sample: SampleGateway;

beforeAll(async () => {
  const folder = stack.use(temporaryFolder("policy-docs"));
  const secretFile = join(folder.path, "secret");
  await Bun.write(secretFile, secret);
  await Bun.$`chmod 600 ${secretFile}`.quiet();
  const common = { audiences: [audience], algorithms: ["HS256"], secret_file: secretFile };
  sample = stack.use(
    await startSampleGateway({
      config: {
        identity: { jwt: { issuers: issuers.map((one) => ({ ...one, ...common })) } },
        servers: { allow_private_network: true },
        sanitize: {
          profiles: [{ name: "personal", fields: ["title"], text_patterns: ["[Bb]read"] }],
        },
      },
    }),
  );
});
afterAll(() => stack.disposeAsync());

const nowSeconds = () => Math.floor((performance.timeOrigin + performance.now()) / 1000);

function loginOf(caller: CallerText): number | undefined {
  const ago = caller.logged_in_seconds_ago;
  return ago === undefined ? undefined : nowSeconds() - ago;
}

function signFor(caller: CallerText): Promise<string> {
  const { client: _, logged_in_seconds_ago: __, ...claims } = caller;
  const authTime = loginOf(caller);
  const payload = {
    iss: issuerOf(caller),
    aud: audience,
    iat: nowSeconds() - 5,
    exp: nowSeconds() + 600,
    ...claims,
    ...(authTime === undefined ? {} : { auth_time: authTime }),
  };
  return new SignJWT(payload).setProtectedHeader({ alg: "HS256" }).sign(Buffer.from(secret));
}

const nouns = [
  ["roles", "role", "Role"],
  ["bindings", "binding", "Binding"],
  ["rules", "rule", "Rule"],
] as const;

/** Writes the objects of an example, and takes them away again. */
async function withObjects(
  objects: ExampleObjects,
  body: (tokens: Map<string, string>) => Promise<void>,
) {
  const { admin } = sample;
  await using undo = new AsyncDisposableStack();
  const tokens = new Map<string, string>();
  for (const { id, ...more } of objects.clients ?? []) {
    tokens.set(id, await registerClient(admin, id, more));
    undo.defer(async () => void (await admin.call("ClientService", "DeleteClient", { id })));
  }
  for (const [server, tool_settings] of Object.entries(objects.tool_settings ?? {})) {
    const { server: before } = await admin.call<{ server: object }>("ServerService", "GetServer", {
      name: server,
    });
    const put = (one: object) => admin.call("ServerService", "UpdateServer", { server: one });
    await put({ ...before, tool_settings });
    undo.defer(async () => void (await put(before)));
  }
  for (const [member, field, noun] of nouns) {
    for (const one of objects[member] ?? []) {
      await admin.call("PolicyService", `Create${noun}`, { [field]: one });
      const { name, tenant = "" } = one;
      const named = { name, tenant };
      undo.defer(async () => void (await admin.call("PolicyService", `Delete${noun}`, named)));
    }
  }
  await body(tokens);
}

function tokenOf(
  caller: CallerText,
  tokens: ReadonlyMap<string, string>,
): Promise<string> | string {
  return caller.client === undefined ? signFor(caller) : (tokens.get(caller.client) ?? "");
}

const methods = {
  tool: { call: "tools/call", list: "tools/list", key: "name" },
  prompt: { call: "prompts/get", list: "prompts/list", key: "name" },
  resource: { call: "resources/read", list: "resources/list", key: "uri" },
} as const;

/** What a call came to, in the words of the document's tables. */
function readAnswer(text: string): string {
  const { error } = JSON.parse(text);
  if (error === undefined) return "ok";
  // Of a server on which a caller sees nothing, the endpoint itself is not there.
  const isUnknown = /^(?:Unknown (?:tool|prompt)|Resource not found|Not found$)/.test(
    error.message,
  );
  return isUnknown ? "unknown" : `${error.code} ${error.data?.name}`;
}

async function askRow(wire: Wire, era: "legacy" | "modern", row: ExampleRow) {
  const { call, list, key } = methods[row.kind];
  const params =
    row.kind === "resource" ? { uri: row.target } : { name: row.target, arguments: row.args ?? {} };
  const answer = await wire.send(requestText(era, call, params, 7));
  const listed = await wire.send(requestText(era, list, {}, 8));
  const result: Readonly<Record<string, unknown>> = JSON.parse(listed.text).result ?? {};
  const elements = Object.values(result).find((member) => Array.isArray(member)) ?? [];
  const isListed = elements.some(
    (one: Readonly<Record<string, unknown>>) => one[key] === row.target,
  );
  return { answer, isListed };
}

/** `ok` and everything owed is allowed; the rest is denied. */
const owed = [
  "ok",
  "40302 insufficient-scope",
  "40102 step-up-required",
  "40306 approval-required",
];

async function explainRow({ objects }: PolicyExample, row: ExampleRow) {
  const caller = objects.callers[row.who];
  const { client, sub, scope, ...claims } = caller ?? {};
  const actions = {
    tool: "POLICY_ACTION_INVOKE_TOOL",
    prompt: "POLICY_ACTION_GET_PROMPT",
    resource: "POLICY_ACTION_READ_RESOURCE",
  };
  const login = caller && loginOf(caller);
  return sample.admin.call<{ allowed: boolean; decided_by: string }>("PolicyService", "Explain", {
    ...(client === undefined
      ? {
          ...claims,
          subject: sub,
          issuer: issuerOf(claims),
          scopes: scope?.split(" ") ?? [],
          ...(login === undefined ? {} : { authenticated_at_ms: login * 1000 }),
        }
      : { principal: `client:${client}` }),
    server: row.server,
    target: row.target,
    action: actions[row.kind],
    ...(row.kind === "resource" ? {} : { arguments_json: JSON.stringify(row.args ?? {}) }),
    peer: "127.0.0.1",
  });
}

test("the document has ten examples", () => {
  expect(examples.length).toBe(10);
});

describe.each(examples.map((example) => [example.title, example] as const))(
  "%s",
  (_title, example) => {
    test.each([...transports])(
      "P23 over %s: calls and lists are as the table says",
      async (transport) => {
        await withObjects(example.objects, async (tokens) => {
          for (const row of example.rows) {
            const caller = example.objects.callers[row.who];
            if (caller === undefined) throw new Error(`nobody is called ${row.who}`);
            const token = await tokenOf(caller, tokens);
            const { agents: base } = sample.gateway;
            const options = { base, scope: row.server, token };
            const opening = await openRow(transport, options, row);
            if (opening === undefined) continue;
            await using wire = opening;
            const { answer, isListed } = await askRow(wire, eraOf(transport), row);
            expect([row, readAnswer(answer.text)]).toEqual([row, row.answer]);
            expect([row, isListed]).toEqual([row, row.answer !== "unknown"]);
            checkHeld(row, answer);
          }
        });
      },
      60_000,
    );

    test("P15: Explain agrees, and names what decided", async () => {
      await withObjects(example.objects, async () => {
        for (const row of example.rows) {
          const { allowed, decided_by } = await explainRow(example, row);
          const want = { allowed: owed.includes(row.answer), decided_by: row.decidedBy };
          expect([row, { allowed, decided_by }]).toEqual([row, want]);
        }
      });
    });
  },
);

/** A scope in which a caller sees nothing is not there at all; then nothing else has to be asked. */
async function openRow(
  transport: (typeof transports)[number],
  options: { readonly base: string; readonly scope: string; readonly token: string },
  row: ExampleRow,
): Promise<Wire | undefined> {
  try {
    return await mustOpenWire(transport, options);
  } catch (error) {
    expect([row.answer, String(error)]).toEqual(["unknown", expect.stringContaining("404")]);
    return undefined;
  }
}

/** The text of an answer holds it as JSON or inside JSON; a challenge is in the header and in the error's data. */
function checkHeld(
  row: ExampleRow,
  answer: { readonly text: string; readonly headers: Headers },
): void {
  if (row.holds === undefined) return;
  if (row.answer === "ok") {
    expect(answer.text.replaceAll('\\"', '"')).toContain(row.holds);
    return;
  }
  const { error } = JSON.parse(answer.text);
  const parameters = Object.entries(error.data)
    .filter(([name]) => name !== "name")
    .map(([name, value]) => `${name}="${value}"`);
  expect(parameters.join(", ")).toBe(row.holds);
  const header = answer.headers.get("www-authenticate");
  if (header !== null) expect(header).toContain(row.holds);
}
