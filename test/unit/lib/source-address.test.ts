/** Which addresses are one source: a guesser with an IPv6 network has more of them than any map holds (L09). */
import { expect, test } from "bun:test";
import { sourceOf } from "../../../src/lib/source-address.ts";

test.each([
  ["192.0.2.1", "192.0.2.1"],
  ["::ffff:192.0.2.1", "192.0.2.1"],
  ["2001:DB8::1", "2001:db8:0:0::/64"],
  ["2001:db8:0001:0002:3:4:5:6", "2001:db8:1:2::/64"],
  ["::1", "0:0:0:0::/64"],
  ["fe80::1%eth0", "fe80:0:0:0::/64"],
  ["", ""],
])("%p belongs to %p", (address, want) => {
  expect(sourceOf(address)).toBe(want);
});
