import { expect, test } from "bun:test";
import { breachOf } from "../../../src/agents/socket-endings.ts";

test("TW-02: what Bun ends a socket for is told from a peer that leaves, whatever it says", () => {
  expect(breachOf(1006, "Received too big message")?.name).toBe("payload-too-large");
  expect(breachOf(1006, "Received invalid UTF-8")?.name).toBe("invalid-request");
  expect(breachOf(1006, "")).toBeUndefined();
  expect(breachOf(1009, "Received too big message")).toBeUndefined();
  expect(breachOf(1000, "bye")).toBeUndefined();
});
