/**
 * Ports for programs that bind later: nobody else is given one meanwhile.
 */
import { expect, test } from "bun:test";
import { freePort } from "./support/free-port.ts";

/** Where the ports for outgoing connections and for port 0 begin by Linux's default; other systems' begin higher. */
const firstOfSystem = 32_768;

test("a port is none that outgoing connections or port 0 get, and none is given twice", () => {
  const ports = Array.from({ length: 2000 }, freePort);
  expect(Math.max(...ports)).toBeLessThan(firstOfSystem);
  expect(new Set(ports).size).toBe(2000);
});
