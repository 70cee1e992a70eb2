import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import {
  contentPolicy,
  deniedPage,
  donePage,
  goPage,
  questionPage,
  refusalPage,
  refusalStatus,
} from "../../../../src/agents/consent/page.ts";

const nasty = `"><script>alert('x')</script>&\``;
const question = {
  server: nasty,
  client: nasty,
  user: `user:https://login.example#${nasty}`,
  scopes: ["read", nasty],
  newScopes: [nasty],
  issuer: nasty,
};

describe("consent pages", () => {
  test("everything from elsewhere is escaped, wherever it stands", () => {
    for (const html of [
      questionPage(question, nasty, nasty),
      goPage(`https://auth.example/?x=${nasty}`),
      donePage(nasty),
      deniedPage(nasty),
    ]) {
      expect(html).not.toContain("<script");
      expect(html).not.toContain(`"><`.concat("script"));
      expect(html).toContain("&#34;&#62;&#60;script");
    }
  });

  test("the question names who wants what of whom, and where it goes on", () => {
    const html = questionPage(
      {
        server: "files",
        client: "agent",
        user: "user:https://login.example/realms/a#ada",
        scopes: ["read", "write"],
        newScopes: ["write"],
        issuer: "https://auth.example/t1",
      },
      "flow",
      "token",
    );
    for (const part of [
      "Allow access to files?",
      "<dd>agent</dd>",
      "<li>read</li><li>write <small>(new)</small></li>",
      "ada at login.example",
      "you go on to auth.example",
      'name="token" value="token"',
    ]) {
      expect(html).toContain(part);
    }
    const bare = questionPage({ ...question, client: undefined, scopes: [] }, "f", "t");
    expect(bare).toContain("an application without a name");
    expect(bare).toContain("whatever it grants by default");
  });

  test("the policy allows the very style of the page, and nothing else", () => {
    const style = /<style>([\s\S]*)<\/style>/.exec(donePage("files"))?.[1] ?? "";
    const digest = createHash("sha256").update(style).digest("base64");
    expect(contentPolicy).toContain(`style-src 'sha256-${digest}'`);
    expect(contentPolicy).toStartWith("default-src 'none'");
  });

  test("refusals say what to do, with their status", () => {
    expect(refusalPage("other-user")).toContain("If somebody sent it to you, do not use it");
    expect([refusalStatus("other-user"), refusalStatus("link-unknown")]).toEqual([403, 404]);
  });
});
