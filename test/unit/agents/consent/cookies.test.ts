import { describe, expect, test } from "bun:test";
import { createFlowCookies, isFlow } from "../../../../src/agents/consent/cookies.ts";

const flow = "AAAAbbbb0_-9";
const requestWith = (cookie: string) =>
  new Request("https://gateway.example/", { headers: { cookie } });

describe("consent cookies", () => {
  test("over https they are the host's alone, Secure, HttpOnly and Lax", () => {
    expect(createFlowCookies(true).set(flow, "x")).toBe(
      `__Host-mcp-consent-${flow}=x; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=600`,
    );
    expect(createFlowCookies(false).set(flow, "x")).not.toContain("Secure");
    expect(createFlowCookies(true).clear(flow)).toEndWith("; Secure; Max-Age=0");
  });

  test("each flow has its own, and two of one name are none", () => {
    const cookies = createFlowCookies(true);
    const name = `__Host-mcp-consent-${flow}`;
    expect(cookies.read(requestWith(`a=b; ${name}=sealed:1=; c=d`), flow)).toBe("sealed:1=");
    expect(cookies.read(requestWith(`${name}=1; ${name}=2`), flow)).toBeUndefined();
    expect(cookies.read(requestWith(`mcp-consent-${flow}=1`), flow)).toBeUndefined();
    expect(cookies.read(requestWith(`${name}=1`), "BBBBbbbb0_-9")).toBeUndefined();
    expect(cookies.read(new Request("https://gateway.example/"), flow)).toBeUndefined();
  });

  test("a browser with many open flows loses the old ones", () => {
    const cookies = createFlowCookies(true);
    const of = (count: number) =>
      Array.from({ length: count }, (_, at) => `__Host-mcp-consent-AAAAbbbb000${at}=x`).join("; ");
    expect(cookies.clearOld(requestWith(of(3)))).toEqual([]);
    expect(cookies.clearOld(requestWith(of(4)))).toHaveLength(4);
  });

  test("the name of a flow has one form", () => {
    expect([flow, null, "", "short", `${flow}x`, "AAAAbbbb0;=9"].map(isFlow)).toEqual([
      ...[true, false, false, false, false, false],
    ]);
  });
});
