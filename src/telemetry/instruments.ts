/**
 * Counters, histograms and gauges in memory, and the Prometheus text format (version 0.0.4). Counting is on every
 * call's path, so a series is one look-up in a plain map, by its label values. `metrics.ts` says which there are.
 */
export type Labels = Readonly<Record<string, string>>;

export interface Metric {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
}

export interface Sample {
  readonly labels: Labels;
  readonly value: number;
}

export interface Counter {
  add(labels: Labels, by: number): void;
  total(): number;
  render(): string;
}

export interface Histogram {
  observe(labels: Labels, value: number): void;
  render(): string;
}

export function createCounter(metric: Metric): Counter {
  const series = createSeries(metric, () => ({ value: 0 }));
  return {
    add(labels, by) {
      series.find(labels).value += by;
    },
    total: () => series.all().reduce((sum, one) => sum + one.kept.value, 0),
    render: () =>
      renderMetric(
        metric,
        "counter",
        series
          .all()
          .map(({ labelText, kept }) => `${metric.name}${braced(labelText)} ${kept.value}`),
      ),
  };
}

/** `bounds` are the buckets' upper bounds, rising; one without a bound is added. */
export function createHistogram(metric: Metric, bounds: readonly number[]): Histogram {
  const series = createSeries(metric, () => ({
    sum: 0,
    /** How many values fell into each bucket; the last has no bound. */
    counts: new Array<number>(bounds.length + 1).fill(0),
  }));
  return {
    observe(labels, value) {
      const kept = series.find(labels);
      let bucket = 0;
      while (bucket < bounds.length && value > (bounds[bucket] ?? 0)) bucket += 1;
      kept.counts[bucket] = (kept.counts[bucket] ?? 0) + 1;
      kept.sum += value;
    },
    render: () =>
      renderMetric(
        metric,
        "histogram",
        series.all().flatMap(({ labelText, kept }) => {
          let below = 0;
          const lines = kept.counts.map((count, bucket) => {
            below += count;
            const bound = `le="${bounds[bucket] ?? "+Inf"}"`;
            const all = labelText === "" ? bound : `${labelText},${bound}`;
            return `${metric.name}_bucket{${all}} ${below}`;
          });
          const sum = `${metric.name}_sum${braced(labelText)} ${kept.sum}`;
          return [...lines, sum, `${metric.name}_count${braced(labelText)} ${below}`];
        }),
      ),
  };
}

export function renderGauge(metric: Metric, samples: readonly Sample[]): string {
  const lines = samples.map(
    ({ labels, value }) => `${metric.name}${braced(labelTextOf(metric, labels))} ${value}`,
  );
  return renderMetric(metric, "gauge", lines);
}

interface Series<T> {
  readonly labelText: string;
  readonly kept: T;
}

/** One level for each label, by its value. */
interface Branch<T> {
  readonly branches: Map<string, Branch<T>>;
  kept: T | undefined;
}

/** What is kept for each set of label values. A metric without labels has its one series from the start. */
function createSeries<T>(metric: Metric, create: () => T) {
  const { labelNames } = metric;
  const root: Branch<T> = { branches: new Map(), kept: undefined };
  const series: Series<T>[] = [];
  // Label by label: a look-up by each value costs less than joining them to one key.
  const find = (labels: Labels): T => {
    let branch = root;
    for (const name of labelNames) branch = branchOf(branch, labels[name] ?? "");
    if (branch.kept !== undefined) return branch.kept;
    const kept = create();
    branch.kept = kept;
    series.push({ labelText: labelTextOf(metric, labels), kept });
    return kept;
  };
  if (labelNames.length === 0) find({});
  return { find, all: (): readonly Series<T>[] => series };
}

function branchOf<T>({ branches }: Branch<T>, value: string): Branch<T> {
  const known = branches.get(value);
  if (known !== undefined) return known;
  const made: Branch<T> = { branches: new Map(), kept: undefined };
  branches.set(value, made);
  return made;
}

function renderMetric({ name, help }: Metric, type: string, lines: readonly string[]): string {
  const head = `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n`;
  return head + lines.map((line) => `${line}\n`).join("");
}

function labelTextOf({ labelNames }: Metric, labels: Labels): string {
  return labelNames.map((name) => `${name}="${escapeValue(labels[name] ?? "")}"`).join(",");
}

function braced(labelText: string): string {
  return labelText === "" ? "" : `{${labelText}}`;
}

function escapeHelp(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

function escapeValue(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"');
}
