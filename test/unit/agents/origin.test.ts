import { expect, test } from "bun:test";
import { createOriginCheck } from "../../../src/agents/origin.ts";

test("TH-01, TH-02: Host and Origin are judged apart", () => {
  const { check } = createOriginCheck({
    host: "0.0.0.0",
    publicUrl: "https://gateway.example",
    allowedHosts: ["Inner.example", "strict.example:8000"],
    allowedOrigins: ["https://app.example"],
  });
  const rows: readonly [string | null, string | null, string | undefined][] = [
    ["localhost:1234", null, undefined],
    ["LOCALHOST", null, undefined],
    ["[::1]:8000", null, undefined],
    ["gateway.example", null, undefined],
    ["inner.example:9", null, undefined],
    ["strict.example:8000", null, undefined],
    ["strict.example:8001", null, "origin-refused"],
    ["localhost.evil.example", null, "origin-refused"],
    ["gateway.example.", null, "origin-refused"],
    ["8.8.8.8", null, "origin-refused"],
    [null, null, "invalid-request"],
    ["", null, "invalid-request"],
    ["localhost, evil.example", null, "invalid-request"],
    ["localhost", "https://app.example", undefined],
    ["localhost:8000", "http://localhost:8000", undefined],
    ["localhost:8000", "http://localhost:8001", "origin-refused"],
    ["localhost", "https://app.example:444", "origin-refused"],
    ["localhost", "https://APP.example", "origin-refused"],
    ["localhost", "null", "origin-refused"],
    ["localhost", "", "origin-refused"],
    ["evil.example", "https://app.example", "origin-refused"],
    ["evil.example", "http://evil.example", "origin-refused"],
  ];
  for (const [host, origin, expected] of rows) {
    expect([host, origin, check(host, origin)?.name]).toEqual([host, origin, expected]);
  }
});
