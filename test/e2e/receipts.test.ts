/**
 * Receipts as a client keeps them: asked for over every transport and era, proved by the gateway, and checked offline
 * with nothing but the node's public key; by the executable, from the command line to the leaf.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { verifyBootCertificate } from "../../src/audit/evidence/boot-certificate.ts";
import { originOf } from "../../src/audit/evidence/checkpoint.ts";
import { parseVerifierKey } from "../../src/audit/evidence/keys.ts";
import { parseProof, verifyProof } from "../../src/audit/evidence/proof.ts";
import { type AdminClient, createAdminClient } from "../support/admin-client.ts";
import { runGateway } from "../support/command-line.ts";
import { type GatewayProcess, startGateway } from "../support/gateway-process.ts";
import { modernCall } from "../support/modern-agent.ts";
import { registerClient, registerHttpServer } from "../support/operator.ts";
import { agentKinds } from "../support/sdk-agents.ts";
import { untilDrained } from "../support/three-logs.ts";
import { startTinyServer } from "../support/tiny-server.ts";

const key = "io.mcp-gateway/receipt";
const asked = { [key]: true };

interface Receipt {
  readonly log: string;
  readonly seq: number;
  readonly leaf: string;
}

interface ProofAnswer {
  readonly proof: string;
  readonly index: number;
  readonly leaf: string;
  readonly checkpoint: { readonly size: number; readonly certificate: string };
}

const cleanup = new AsyncDisposableStack();
let gateway: GatewayProcess;
let admin: AdminClient;
let token: string;
beforeAll(async () => {
  const tiny = cleanup.use(startTinyServer());
  gateway = cleanup.use(await startGateway());
  admin = cleanup.use(createAdminClient(gateway));
  await registerHttpServer(admin, "tiny", tiny.url);
  token = await registerClient(admin, "keeper", { allowed_tools: ["tiny__echo"] });
});
afterAll(() => cleanup.disposeAsync());

const proofOf = (seq: number) => admin.call<ProofAnswer>("AuditService", "GetProof", { seq });

/** What the client does at home, long after: it has the receipt, the proof and the node's key. */
async function checkAtHome(receipt: Receipt, proof: string): Promise<number> {
  const { stdout } = await runGateway(["audit", "key", "--data-dir", gateway.dataDir]);
  const nodeKey = parseVerifierKey(stdout.trim());
  const parsed = parseProof(proof);
  const boot = verifyBootCertificate(Buffer.from(parsed.extra ?? []).toString(), [nodeKey]);
  const leaf = Buffer.from(receipt.leaf, "hex");
  verifyProof(parsed, leaf, originOf(receipt.log), [boot.key]);
  return parsed.index + 1;
}

interface Found {
  readonly event: string;
  readonly seq: number;
  readonly leaf: string;
  readonly status: string;
}

async function recordOf(receipt: Receipt): Promise<Found | undefined> {
  await untilDrained(admin);
  const { records } = await admin.call<{ records: readonly Found[] }>(
    "AuditService",
    "QueryRecords",
    { page_size: 1000 },
  );
  return records.find((one) => one.seq === receipt.seq);
}

describe("a call's receipt", () => {
  test.each(agentKinds)("$name: is kept, proved and checked offline", async (kind) => {
    await using agent = await kind.connect({ base: gateway.agents, scope: "tiny", token });
    const result = await agent.callTool("echo", { text: kind.name }, { meta: asked });
    const receipt = (result._meta as Record<string, Receipt>)[key];
    if (receipt === undefined) throw new Error("there is no receipt");
    expect(receipt.leaf).toMatch(/^[0-9a-f]{64}$/);
    const { proof, leaf, index } = await proofOf(receipt.seq);
    expect([leaf, index]).toEqual([receipt.leaf, receipt.seq - 1]);
    expect(await checkAtHome(receipt, proof)).toBe(receipt.seq);
    expect(await recordOf(receipt)).toMatchObject({
      event: "call.outcome",
      status: "success",
      leaf: receipt.leaf,
    });
  });

  test.each(agentKinds)("$name: is not given to who does not ask", async (kind) => {
    await using agent = await kind.connect({ base: gateway.agents, scope: "tiny", token });
    const result = await agent.callTool("echo", { text: "plain" });
    expect(JSON.stringify(result)).not.toContain(key);
  });
});

describe("other answers", () => {
  const ask = (method: string, params: Record<string, unknown>) =>
    modernCall({ base: gateway.agents, scope: "tiny", token, method, params });

  test("a refusal carries it in the error's data", async () => {
    const params = { name: "forbidden", arguments: {}, _meta: asked };
    const { error } = await ask("tools/call", params);
    const receipt = (error?.data as Record<string, Receipt> | undefined)?.[key];
    if (receipt === undefined) throw new Error("there is no receipt");
    const { proof } = await proofOf(receipt.seq);
    expect(await checkAtHome(receipt, proof)).toBe(receipt.seq);
    expect(await recordOf(receipt)).toMatchObject({ event: "call.outcome", status: "denied" });
  });

  test("a list has none: its record has no number when it leaves, and may be dropped", async () => {
    const { result } = await ask("tools/list", { _meta: asked });
    expect(JSON.stringify(result)).not.toContain(key);
  });
});

describe("evidence on the command line", () => {
  test("audit get-checkpoint and get-proof answer; audit key needs no gateway", async () => {
    const flags = ["--admin", gateway.admin, "--token-file", `${gateway.dataDir}/admin.token`];
    const checkpoint = await runGateway(["audit", "get-checkpoint", "--json", ...flags]);
    expect(JSON.parse(checkpoint.stdout).checkpoint.size).toBeGreaterThan(0);
    const proof = await runGateway(["audit", "get-proof", "--seq", "1", "--json", ...flags]);
    expect(JSON.parse(proof.stdout).proof).toStartWith("c2sp.org/tlog-proof@v1\n");
    const missing = await runGateway(["audit", "get-proof", "--seq", "1000000", ...flags]);
    expect(missing.exitCode).toBe(1);
    expect(missing.stderr).toContain("this log has no such record");
    const none = await runGateway(["audit", "key"]);
    expect(none.exitCode).toBe(1);
    expect(none.stderr).toContain("there is no node key at");
    const help = await runGateway(["audit", "key", "--help"]);
    expect(help.stdout).toContain("Prints this node's public key");
  });
});
