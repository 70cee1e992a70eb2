/** Live listeners: what they are shown, and that what they are not shown is counted. */
import { expect, test } from "bun:test";
import { recordFrameBytesMax, writeRecord } from "../../../src/audit/spool/format.ts";
import { createTail } from "../../../src/audit/tail.ts";
import { createMetrics } from "../../../src/telemetry/metrics.ts";
import { sealSample } from "../../support/sealing.ts";

function frames(count: number): Uint8Array {
  const body = '"time":1,"event":"admin.change","class":"A","facts":{}';
  const draft = { body, values: "{}" };
  const sealed = sealSample({ log: "log-1", seq: 1, prev: "0".repeat(64) }, draft);
  const one = Buffer.alloc(recordFrameBytesMax(sealed));
  const { end } = writeRecord(one, 0, sealed);
  return Buffer.concat(Array.from({ length: count }, () => one.subarray(0, end)));
}

test("a burst above the bound is cut, and the rest of it counted", async () => {
  const metrics = createMetrics();
  const tail = createTail({ switched: () => {}, metrics });
  let shown = 0;
  const stop = tail.listen(() => {
    shown += 1;
  });
  tail.offer([frames(1000), frames(1000)]);
  stop();
  tail.offer([frames(10)]);
  expect(shown).toBe(1024);
  expect(await metrics.total("mcp_gateway_audit_tail_dropped_total")).toBe(976);
});
