import { expect, test } from "bun:test";
import { createPeerAddress } from "../../../src/agents/peer-address.ts";

test("TH-13: the rightmost address that is not a trusted proxy's", () => {
  const nobody = createPeerAddress([]).of;
  expect(nobody("10.0.0.1", "6.6.6.6")).toBe("10.0.0.1");
  expect(nobody("::ffff:10.0.0.1", null)).toBe("10.0.0.1");

  const address = createPeerAddress(["10.0.0.0/8", "fd00::/8", "192.0.2.1"]).of;
  const rows: readonly [string, string | null, string][] = [
    ["8.8.8.8", "6.6.6.6", "8.8.8.8"],
    ["10.0.0.1", null, "10.0.0.1"],
    ["10.0.0.1", "6.6.6.6, 7.7.7.7", "7.7.7.7"],
    ["::ffff:10.0.0.1", "6.6.6.6 ,10.9.9.9", "6.6.6.6"],
    ["10.0.0.1", "6.6.6.6, fd00::5, 192.0.2.1", "6.6.6.6"],
    ["10.0.0.1", "10.0.0.2, 10.0.0.3", "10.0.0.2"],
    ["10.0.0.1", "6.6.6.6, garbage", "10.0.0.1"],
    ["10.0.0.1", "2001:db8::1", "2001:db8::1"],
  ];
  for (const [connection, header, expected] of rows) {
    expect(address(connection, header)).toBe(expected);
  }
});
