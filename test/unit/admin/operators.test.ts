/** Tokens, certificates and the file of the bootstrap administrator. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createOperators } from "../../../src/admin/operators.ts";

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "operators-"));
});
afterEach(() => rmSync(dataDir, { recursive: true }));

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
const ask = (token?: string, certificateCommonName?: string) => ({ token, certificateCommonName });

describe("createOperators", () => {
  test("makes the token once, for its owner's eyes only, and accepts it after a restart", () => {
    const first = createOperators({ dataDir, operators: [] });
    const token = readFileSync(first.tokenPath, "utf8").trim();
    expect(statSync(first.tokenPath).mode & 0o777).toBe(0o600);
    expect(token.length).toBeGreaterThan(43);
    const second = createOperators({ dataDir, operators: [] });
    expect(readFileSync(second.tokenPath, "utf8").trim()).toBe(token);
    expect(second.authenticate(ask(token))).toEqual({ name: "bootstrap", roles: ["admin"] });
  });

  test("P17: who is of a tenant is of it however they come; the bootstrap administrator is of none", () => {
    const one = { name: "ann", roles: ["admin"] as const, tenant: "a:b" };
    const entry = { ...one, tokenSha256: sha256("ann-token"), certificateCommonName: "ann" };
    const operators = createOperators({ dataDir, operators: [entry] });
    for (const credential of [ask("ann-token"), ask(undefined, "ann")]) {
      expect(operators.authenticate(credential)).toEqual(one);
    }
    const token = readFileSync(operators.tokenPath, "utf8").trim();
    expect(operators.authenticate(ask(token))?.tenant).toBeUndefined();
  });

  test("an emptied token file is an error, not an open door", () => {
    writeFileSync(join(dataDir, "admin.token"), "\n");
    expect(() => createOperators({ dataDir, operators: [] })).toThrow("no usable token");
  });

  test.each([
    ["its token", ask("eve-token"), "eve"],
    ["its certificate", ask(undefined, "ops"), "olga"],
    ["a wrong token", ask("eve-tokem"), undefined],
    ["the digest instead of the token", ask(sha256("eve-token")), undefined],
    ["an unknown certificate", ask(undefined, "nobody"), undefined],
    ["a wrong token beside a good certificate", ask("wrong", "ops"), undefined],
    ["an empty token", ask(""), undefined],
    ["an empty common name", ask(undefined, ""), undefined],
    ["nothing", ask(), undefined],
    ["an endless token", ask("x".repeat(100_000)), undefined],
  ])("AD-05 %s", (_name, credential, expected) => {
    const operators = createOperators({
      dataDir,
      operators: [
        { name: "eve", roles: ["viewer"], tokenSha256: sha256("eve-token") },
        { name: "olga", roles: ["operator"], certificateCommonName: "ops" },
        { name: "empty", roles: ["admin"], tokenSha256: "", certificateCommonName: "" },
      ],
    });
    expect(operators.authenticate(credential)?.name).toBe(expected);
  });
});
