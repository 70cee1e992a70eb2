import { describe, expect, test } from "bun:test";
import { createCounter, createHistogram, renderGauge } from "../../../src/telemetry/instruments.ts";

const plain = { name: "calls_total", help: "Calls.", labelNames: [] };
const labelled = { name: "calls_total", help: "Calls.", labelNames: ["server", "outcome"] };

describe("counter", () => {
  test("stands at zero from the start where it has no labels", () => {
    expect(createCounter(plain).render()).toBe(
      "# HELP calls_total Calls.\n# TYPE calls_total counter\ncalls_total 0\n",
    );
  });

  test("keeps one series for each set of label values, in the order of the label names", () => {
    const counter = createCounter(labelled);
    counter.add({ outcome: "success", server: "a" }, 1);
    counter.add({ server: "a", outcome: "success" }, 2);
    counter.add({ server: "asuccess", outcome: "" }, 4);
    counter.add({ server: "b" }, 8);
    expect(counter.render().split("\n").slice(2)).toEqual([
      'calls_total{server="a",outcome="success"} 3',
      'calls_total{server="asuccess",outcome=""} 4',
      'calls_total{server="b",outcome=""} 8',
      "",
    ]);
    expect(counter.total()).toBe(15);
  });

  test("shows no line before the first value where it has labels", () => {
    expect(createCounter(labelled).render()).toBe(
      "# HELP calls_total Calls.\n# TYPE calls_total counter\n",
    );
  });

  test.each([
    ['say "hi"', 'say \\"hi\\"'],
    ["a\\b", "a\\\\b"],
    ["a\nb", "a\\nb"],
    ["ü", "ü"],
  ])("escapes the label value %j", (value, written) => {
    const counter = createCounter({ ...plain, labelNames: ["server"] });
    counter.add({ server: value }, 1);
    expect(counter.render()).toContain(`calls_total{server="${written}"} 1\n`);
  });

  test("escapes its help, but no quotes in it", () => {
    const counter = createCounter({ ...plain, help: 'a\\b\n"c"' });
    expect(counter.render()).toStartWith('# HELP calls_total a\\\\b\\n"c"\n');
  });
});

describe("histogram", () => {
  const metric = { name: "call_seconds", help: "Time.", labelNames: ["binding"] };

  test("buckets are cumulative, bounds belong to their bucket, and the last has no bound", () => {
    const histogram = createHistogram(metric, [0.25, 1]);
    for (const value of [0.125, 0.25, 0.5, 1, 64]) histogram.observe({ binding: "http" }, value);
    expect(histogram.render()).toBe(
      [
        "# HELP call_seconds Time.",
        "# TYPE call_seconds histogram",
        'call_seconds_bucket{binding="http",le="0.25"} 2',
        'call_seconds_bucket{binding="http",le="1"} 4',
        'call_seconds_bucket{binding="http",le="+Inf"} 5',
        'call_seconds_sum{binding="http"} 65.875',
        'call_seconds_count{binding="http"} 5',
        "",
      ].join("\n"),
    );
  });

  test("without labels there is one series, and `le` is its buckets' only label", () => {
    expect(createHistogram({ ...metric, labelNames: [] }, [1]).render()).toEndWith(
      'call_seconds_bucket{le="1"} 0\ncall_seconds_bucket{le="+Inf"} 0\ncall_seconds_sum 0\ncall_seconds_count 0\n',
    );
  });
});

test("a gauge is rendered from the samples of the moment", () => {
  const metric = { name: "ready", help: "Ready.", labelNames: ["server"] };
  const samples = [
    { labels: { server: "a" }, value: 1 },
    { labels: { server: "b" }, value: 0 },
  ];
  expect(renderGauge(metric, samples)).toBe(
    '# HELP ready Ready.\n# TYPE ready gauge\nready{server="a"} 1\nready{server="b"} 0\n',
  );
});
