import { expect, test } from "bun:test";
import { createNetworks, isNetwork, plainAddress } from "../../../src/lib/networks.ts";

const rows: readonly (readonly [entries: string[], address: string, isIn: boolean])[] = [
  [["10.0.0.0/8"], "10.255.0.1", true],
  [["10.0.0.0/8"], "11.0.0.1", false],
  [["10.0.0.0/8"], "::ffff:10.0.0.1", true],
  [["10.0.0.0/8"], "::ffff:a00:1", true],
  [["::ffff:10.0.0.0/104"], "10.1.2.3", true],
  [["::ffff:10.0.0.1"], "10.0.0.1", true],
  [["192.0.2.7"], "192.0.2.7", true],
  [["192.0.2.7"], "192.0.2.8", false],
  [["0.0.0.0/0"], "8.8.8.8", true],
  [["0.0.0.0/0"], "2001:db8::1", false],
  [["::/0"], "2001:db8::1", true],
  // Bun's own BlockList says yes here.
  [["::/0"], "8.8.8.8", false],
  [["2001:db8::/32"], "2001:DB8:0:0::5", true],
  [["2001:db8::/32"], "2001:db9::5", false],
  [["fe80::/10"], "fe80::1%eth0", true],
  [["0.0.0.0/0", "::/0"], "", false],
  [["0.0.0.0/0", "::/0"], "junk", false],
  [["10.0.0.0/8"], "10.0.0.1.evil", false],
  [["10.0.0.0/8"], "010.0.0.1", false],
  [[], "10.0.0.1", false],
];

test.each(rows)("A08: %p holds %s: %p", (entries, address, isIn) => {
  expect(createNetworks(entries).has(address)).toBe(isIn);
});

test("A08: only addresses and ranges are networks", () => {
  const good = ["10.0.0.0/8", "10.1.2.3", "::1", "2001:db8::/32", "::ffff:10.0.0.1/128"];
  for (const one of good) expect(isNetwork(one), one).toBe(true);
  const bad = ["", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/08", "10.0.0.0/8/8", "10.0.0/8"];
  bad.push("::/129", "*", "localhost", "fe80::1%eth0", "10.0.0.0/-1", "10.0.0.1 ");
  for (const one of bad) expect(isNetwork(one), one).toBe(false);
});

test("A08: one client has one address, however its socket writes it", () => {
  expect(plainAddress("::ffff:192.0.2.1")).toBe("192.0.2.1");
  expect(plainAddress("0:0:0:0:0:ffff:c000:201")).toBe("192.0.2.1");
  expect(plainAddress("2001:db8::1")).toBe("2001:db8::1");
  expect(plainAddress("192.0.2.1")).toBe("192.0.2.1");
});
