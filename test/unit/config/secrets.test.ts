/** A secret prints as [redacted] wherever values get printed. */
import { expect, test } from "bun:test";
import { inspect } from "node:util";
import { createSecret } from "../../../src/config/secrets.ts";

test("every way of printing a secret is redacted", () => {
  const secret = createSecret("hunter2");
  const printed = [
    `${secret}`,
    String(secret),
    JSON.stringify({ secret }),
    Bun.inspect(secret),
    Bun.inspect({ deep: { secret } }),
    inspect({ secret }, { depth: 9, showHidden: true }),
  ];
  for (const text of printed) {
    expect(text).toContain("[redacted]");
    expect(text).not.toContain("hunter2");
  }
  expect(secret.reveal()).toBe("hunter2");
});
