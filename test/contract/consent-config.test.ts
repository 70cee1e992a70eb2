/**
 * Where a login of users may be configured: `check-config` and `serve` refuse the same, with the reason.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkIssuers, consentUrl } from "../../src/compose/token-issuers.ts";
import { loadConfig } from "../../src/config/load.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

let folder = "";
const stack = new AsyncDisposableStack();
beforeAll(() => {
  folder = stack.use(temporaryFolder("consent-config")).path;
});
afterAll(() => stack.disposeAsync());

const login = { client_id: "gateway", client_secret: "a-secret" };

function check(agents: object, issuer: object, preset?: string) {
  const file = join(folder, "gateway.yaml");
  const issuers = [{ issuer: "https://login.example", audiences: ["a"], ...issuer }];
  writeFileSync(file, JSON.stringify({ agents, identity: { jwt: { issuers } } }));
  try {
    const config = loadConfig({ file, preset }, {});
    checkIssuers(config);
    return consentUrl(config)?.href ?? "no pages";
  } catch (error) {
    return String(error);
  }
}

const es256 = { algorithms: ["ES256"] };

describe("a login of users", () => {
  test.each([
    ["without one there are no pages", {}, es256, "no pages"],
    ["https", { public_url: "https://gw.example" }, { ...es256, login }, "https://gw.example/"],
    ["nowhere", {}, { ...es256, login }, "a login of users needs it"],
    ["below a path", { public_url: "https://gw.example/a" }, { ...es256, login }, "without a path"],
    ["plain http", { public_url: "http://127.0.0.1:8000" }, { ...es256, login }, "needs https"],
    [
      "plain http on loopback, by name",
      { public_url: "http://127.0.0.1:8000", insecure_cookies: true },
      { ...es256, login },
      "http://127.0.0.1:8000/",
    ],
    [
      "plain http elsewhere, whatever is named",
      { public_url: "http://gw.example", insecure_cookies: true },
      { ...es256, login },
      "needs https",
    ],
    [
      "without openid",
      { public_url: "https://gw.example" },
      { ...es256, login: { ...login, scopes: ["profile"] } },
      "scopes must hold openid",
    ],
    [
      "with two proofs",
      { public_url: "https://gw.example" },
      { ...es256, login: { ...login, private_key_file: "/nowhere" } },
      "give exactly one of",
    ],
    [
      "of tokens that are only asked about",
      { public_url: "https://gw.example" },
      {
        login,
        introspection: { url: "https://login.example/i", client_id: "g", client_secret: "s" },
      },
      "needs algorithms",
    ],
  ])("%s", (_, agents, issuer, words) => {
    expect(check(agents, issuer)).toContain(words);
  });

  test("production refuses cookies that are not Secure", () => {
    const agents = { public_url: "http://127.0.0.1:8000", insecure_cookies: true };
    expect(check(agents, { ...es256, login }, "production")).toContain("(insecure-cookies)");
  });

  test("its secret is never printed", () => {
    const file = join(folder, "gateway.yaml");
    const issuers = [{ issuer: "https://login.example", audiences: ["a"], ...es256, login }];
    writeFileSync(file, JSON.stringify({ identity: { jwt: { issuers } } }));
    expect(JSON.stringify(loadConfig({ file }, {}))).not.toContain("a-secret");
  });
});
