import { expect, test } from "bun:test";
import { createMetrics } from "../../../src/telemetry/metrics.ts";

test("every metric of the table is in the text, each with one HELP and one TYPE line", async () => {
  const metrics = createMetrics();
  metrics.gauge("mcp_gateway_in_flight", () => 3);
  metrics.gauge("mcp_gateway_upstream_ready", () => [{ labels: { server: "a" }, value: 1 }]);
  const text = await metrics.render();
  const names = [...text.matchAll(/^# TYPE (\S+)/gm)].map((match) => match[1]);
  expect(names).toContain("mcp_gateway_calls_total");
  expect(names).toContain("mcp_gateway_call_seconds");
  expect(new Set(names).size).toBe(names.length);
  expect([...text.matchAll(/^# HELP (\S+)/gm)].map((match) => match[1])).toEqual(names);
  expect(text).toContain("\nmcp_gateway_in_flight 3\n");
  expect(text).toContain('\nmcp_gateway_upstream_ready{server="a"} 1\n');
  expect(text).toEndWith("\n");
});

test("the total of a counter is the sum over its labels", async () => {
  const metrics = createMetrics();
  metrics.count("mcp_gateway_audit_records_total", { class: "A" });
  metrics.count("mcp_gateway_audit_records_total", { class: "B" }, 2);
  expect(await metrics.total("mcp_gateway_audit_records_total")).toBe(3);
});

test("a second gauge of the same name takes the place of the first", async () => {
  const metrics = createMetrics();
  metrics.gauge("mcp_gateway_in_flight", () => 1);
  metrics.gauge("mcp_gateway_in_flight", () => 2);
  const text = await metrics.render();
  expect(text.match(/^mcp_gateway_in_flight .*$/gm)).toEqual(["mcp_gateway_in_flight 2"]);
});
