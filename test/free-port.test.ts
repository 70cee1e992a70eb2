/**
 * Ports for programs that bind later: nobody else is given one meanwhile.
 */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { freePort } from "./support/free-port.ts";

const systems = "/proc/sys/net/ipv4/ip_local_port_range";

test.skipIf(process.platform !== "linux")(
  "a port is none that outgoing connections or port 0 get, and none is given twice",
  () => {
    const firstOfSystem = Number(readFileSync(systems, "utf8").split(/\s+/)[0]);
    const ports = Array.from({ length: 2000 }, freePort);
    expect(Math.max(...ports)).toBeLessThan(firstOfSystem);
    expect(new Set(ports).size).toBe(2000);
  },
);
